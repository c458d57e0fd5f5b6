// The second layer: the cells of a heap, its bins and its live blocks.

import { bytes, count, hex } from './words.js';
import { CELL, PAGE } from './reduce.js';
import { call_text, cell_text } from './explain.js';
import { el, table } from './dom.js';
import { details, line_of } from './drawing.js';

/** How a cell is drawn, by its use. */
const USES = ['used', 'free', 'top', 'slab', 'internal', 'hole'];

/** The cells of a heap: those that it told, or else what is known from its calls. */
export function cells_of({ heap, space_id }) {
  if (!heap) return [];
  const told = heap.cells;
  const is_whole = told.some(
    ({ use }) => use === CELL.top || use === CELL.used || use === CELL.slab,
  );
  if (is_whole) return told;
  // A simple heap's blocks have a header in front; those of a Linux program may have none.
  const header = space_id < 0 ? 0 : 16;
  const blocks = [...heap.blocks].map(([address, { size }]) => ({
    address: address - header,
    size: size + header,
    use: CELL.used,
  }));
  return [...told, ...blocks].sort((one, other) => one.address - other.address);
}

/** A good window for what is looked at: the heap, or the area of the latest touch. */
export function natural_window(view) {
  const { cells } = view;
  if (cells.length > 0) {
    const last = cells.at(-1);
    return { low: cells[0].address, high: last.address + last.size };
  }
  const areas = view.space?.areas ?? [];
  const area = areas.find(({ start, end }) => start <= view.focus && view.focus < end);
  const page = Math.floor(view.focus / PAGE) * PAGE;
  const around = { low: page - 32 * PAGE, high: page + 32 * PAGE };
  return area && area.end - area.start <= 4096 * PAGE
    ? { low: area.start, high: area.end }
    : around;
}

/** The last of sorted cells that begins at an address, or below it. */
function last_up_to(cells, address) {
  let [low, high] = [0, cells.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cells[middle].address <= address) low = middle + 1;
    else high = middle;
  }
  return cells[low - 1];
}

/** What the picture of a heap may show: cells, and live blocks in slabs. */
export function items_of({ heap, cells, changed }) {
  const items = cells.map((cell) => ({
    start: cell.address,
    end: cell.address + cell.size,
    style: USES[cell.use],
    mark: changed.touches(cell.address, cell.address + cell.size),
    text: () => cell_text(cell),
    name: cell.use === CELL.slab ? `${cell.live}/${cell.total}` : String(cell.size),
  }));
  const slabs = cells.filter(({ use }) => use === CELL.slab);
  for (const [address, { size, call }] of heap.blocks) {
    const slab = last_up_to(slabs, address);
    if (!slab || address >= slab.address + slab.size) continue;
    items.push({
      start: address,
      end: address + slab.block,
      style: 'block',
      mark: changed.touches(address, address + size),
      text: () => `Block of ${size} bytes at ${hex(address)} in a slab, from event ${call}.`,
    });
  }
  return items;
}

export function heap_layer(view) {
  const { heap, cells, changed } = view;
  if (cells.length === 0)
    return [el('p', { class: 'none' }, 'This program has not told of a heap here.')];
  const items = items_of(view);
  const free = cells.filter(({ use }) => use === CELL.free || use === CELL.top);
  const sum = (list) => list.reduce((total, { size }) => total + size, 0);
  const live = count(heap.blocks.size, 'live block');
  const words = `${count(cells.length, 'cell')}, ${live}, ${bytes(sum(free))} free`;
  return [
    el('p', {}, `${words}.`),
    line_of(view, items, `Cells: ${words}`),
    bins(cells, changed),
    details('Cells as a table', () =>
      table(
        'Cells, from low to high',
        ['Address', 'Bytes', 'Use'],
        cells.slice(0, 400).map((cell) => ({
          cells: [
            view.link(cell.address, cell.address + cell.size),
            String(cell.size),
            cell_text(cell).split(' of ')[0].split(',')[0],
          ],
          mark: changed.touches(cell.address, cell.address + cell.size),
        })),
      ),
    ),
    blocks(view),
  ];
}

/** Free cells by size, as bins hold them. */
function bins(cells, changed) {
  const by_size = new Map();
  for (const cell of cells) {
    if (cell.use !== CELL.free) continue;
    const size = cell.size <= 1024 ? cell.size : 2 ** Math.floor(Math.log2(cell.size));
    if (!by_size.has(size)) by_size.set(size, []);
    by_size.get(size).push(cell);
  }
  const sorted = [...by_size].sort(([one], [other]) => one - other);
  const items = sorted.map(([size, held]) =>
    el(
      'li',
      {
        class: held.some(({ address, size: own }) => changed.touches(address, address + own))
          ? 'changed'
          : null,
      },
      `${size <= 1024 ? bytes(size) : `${bytes(size)} and more`}: ${count(held.length, 'cell')}`,
    ),
  );
  return el(
    'ul',
    { class: 'bins', 'aria-label': 'Bins: free cells by size' },
    ...(items.length ? items : [el('li', {}, 'All bins are empty.')]),
  );
}

function blocks(view) {
  const recent = [...view.heap.blocks].slice(-12).reverse();
  return details('Live blocks: follow one to its frames', () =>
    table(
      'The latest live blocks',
      ['Block', 'Bytes', 'Allocated by'],
      recent.map(([address, { size, call }]) => ({
        cells: [
          el(
            'button',
            { class: 'link', onclick: () => view.follow(address, address + size) },
            `follow ${hex(address)}`,
          ),
          String(size),
          el(
            'button',
            { class: 'link', onclick: () => view.go(call + 1) },
            call_text(view.story.events[call]),
          ),
        ],
      })),
    ),
  );
}
