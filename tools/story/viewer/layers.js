// The four layers: the program, its heap, its areas, its pages and their frames. Each shows one
// state, and marks what the current step has changed.

import { bytes, count, hex, permissions } from './words.js';
import { CELL, KIND, owners_of, PAGE, table_key } from './reduce.js';
import { area_text, call_text, cell_text, entry_text, event_text } from './explain.js';
import { el, svg, table } from './dom.js';


const WIDTH = 1000;
/** Elements of a layer; where there are more, neighbours are drawn as one. */
const MOST = 600;
const USES = ['used', 'free', 'top', 'slab', 'internal', 'hole'];

/** What the events `[from, to)` have changed, in all layers. */
export function changes(story, from, to, state) {
  const changed = { pages: new Set(), frames: new Set(), tables: new Set(), areas: false, brk: false, heap: false, ranges: [] };
  for (const event of story.events.slice(Math.max(from, to - 2000), to)) {
    const [kind, a, b, c, d] = event;
    switch (kind) {
      case KIND.entry: changed.pages.add(`${a}:${b}`); if (d) changed.frames.add(c); break;
      case KIND.taken: case KIND.given: changed.frames.add(a); break;
      case KIND.table: changed.tables.add(`${a}:${table_key(b, c)}`); break;
      case KIND.areas: changed.areas = true; break;
      case KIND.break: changed.brk = true; changed.areas = true; break;
      case KIND.trapped: changed.ranges.push([b, b + 1]); break;
      case KIND.fault: changed.ranges.push([a, a + 1]); break;
      case KIND.heap_done: if (c) changed.ranges.push([c, c + (state.space_of(a)?.heaps.get(b)?.blocks.get(c)?.size ?? 1)]); changed.heap = true; break;
      case KIND.heap_call: if (d) changed.ranges.push([d, d + 1]); changed.heap = true; break;
      case KIND.cells:
        changed.heap = true;
        for (let at = 5; at < Math.min(event.length, 5 + 3 * 64); at += 3) changed.ranges.push([event[at], event[at] + event[at + 1]]);
        break;
      default:
    }
  }
  changed.touches = (start, end) => changed.ranges.some(([low, high]) => low < end && high > start);
  return changed;
}

// ---- the program

/** The latest call of a process, with the line of its source. */
export function program_layer(view) {
  const { story, state, place, pid } = view;
  let at = null;
  const calls = [];
  for (let number = place - 1; number >= Math.max(view.begun, place - 4000) && calls.length < 8; number -= 1) {
    const [kind, who] = story.events[number];
    const is_call = kind === KIND.heap_call || kind === KIND.returned || kind === KIND.trapped || kind === KIND.called;
    if (!is_call || who !== pid) continue;
    if (!at && kind !== KIND.returned && source_of(story.events[number])) at = story.events[number];
    if (kind !== KIND.called) calls.push(number);
  }
  const list = el('ol', { class: 'calls', 'aria-label': 'The latest calls, the last one first' },
    ...calls.map((number) => el('li', { class: number >= view.from ? 'changed' : null },
      el('button', { class: 'link', onclick: () => view.go(number + 1) }, event_text(story, state, story.events[number])))));
  return [source_excerpt(story, at), list];
}

function source_of(event) {
  const [file, line] = event.slice({ [KIND.heap_call]: 7, [KIND.called]: 3, [KIND.trapped]: 4 }[event[0]]);
  return file >= 0 && line > 0 ? { file, line } : null;
}

function source_excerpt(story, event) {
  if (!event) return el('p', { class: 'none' }, 'No line of source is known for what runs here.');
  const { file, line } = source_of(event);
  const name = story.strings[file];
  const lines = story.sources[name] ?? [];
  const from = Math.max(line - 4, 1);
  const rows = lines.slice(from - 1, line + 3).map((text, index) => {
    const number = from + index;
    const mark = number === line ? { class: 'changed', 'aria-current': 'step' } : {};
    return el('span', mark, `${String(number).padStart(4)}  ${text}\n`);
  });
  return el('figure', {}, el('figcaption', {}, `${name}, line ${line}`), el('pre', { tabindex: 0 }, ...rows));
}

// ---- the heap

/** The cells of a heap: those that it told, or else what is known from its calls. */
export function cells_of({ heap, space_id }) {
  if (!heap) return [];
  const told = heap.cells;
  const is_whole = told.some(({ use }) => use === CELL.top || use === CELL.used || use === CELL.slab);
  if (is_whole) return told;
  // A simple heap's blocks have a header in front; those of a Linux program may have none.
  const header = space_id < 0 ? 0 : 16;
  const blocks = [...heap.blocks].map(([address, { size }]) => ({ address: address - header, size: size + header, use: CELL.used }));
  return [...told, ...blocks].sort((one, other) => one.address - other.address);
}

/** Draws what lies in a window of addresses, from left to right. */
function line_of(view, items, label) {
  const { low, high } = view.window;
  const scale = WIDTH / Math.max(high - low, 1);
  const x = (address) => Math.min(Math.max((address - low) * scale, -1), WIDTH + 1);
  const inside = items.filter(({ start, end }) => start < high && end > low);
  const drawn = inside.length > MOST ? inside.filter(({ mark }, index) => mark || index % Math.ceil(inside.length / MOST) === 0) : inside;
  const shapes = drawn.map(({ start, end, style, mark, text, name }) => {
    const [left, width] = [x(start), Math.max(x(end) - x(start), 0.8)];
    const shape = svg('rect', {
      x: left, y: 4, width, height: 40, class: `${style}${mark ? ' changed' : ''}`, 'data-text': text,
      onclick: () => view.select(start, end),
    }, svg('title', {}, text));
    const words = width > 8 * (name?.length ?? 99) ? svg('text', { x: left + width / 2, y: 28, class: 'name' }, name) : null;
    return svg('g', {}, shape, words);
  });
  const edges = [low, high].map((address, index) =>
    svg('text', { x: index * WIDTH, y: 62, class: index ? 'edge end' : 'edge' }, hex(address)));
  return svg('svg', { viewBox: `0 0 ${WIDTH} 66`, role: 'img', 'aria-label': label, class: 'line' }, ...shapes, ...edges);
}

export function heap_layer(view) {
  const { heap, changed } = view;
  const cells = cells_of(view);
  if (cells.length === 0) return [el('p', { class: 'none' }, 'This program has not told of a heap here.')];
  const items = cells.map((cell) => ({
    start: cell.address, end: cell.address + cell.size, style: USES[cell.use],
    mark: changed.touches(cell.address, cell.address + cell.size), text: cell_text(cell),
    name: cell.use === CELL.slab ? `${cell.live}/${cell.total}` : String(cell.size),
  }));
  for (const [address, { size, call }] of heap.blocks) {
    const slab = cells.find((cell) => cell.use === CELL.slab && cell.address <= address && address < cell.address + cell.size);
    if (!slab) continue;
    const mark = changed.touches(address, address + size);
    items.push({ start: address, end: address + slab.block, style: 'block', mark, text: `Block of ${size} bytes at ${hex(address)} in a slab, from event ${call}.` });
  }
  const free = cells.filter(({ use }) => use === CELL.free || use === CELL.top);
  const sum = (list) => list.reduce((total, { size }) => total + size, 0);
  const words = `${count(cells.length, 'cell')}, ${count(heap.blocks.size, 'live block')}, ${bytes(sum(free))} free`;
  return [
    el('p', {}, `${words}.`), line_of(view, items, `Cells: ${words}`), bins(cells, changed),
    details('Cells as a table', () => table('Cells, from low to high', ['Address', 'Bytes', 'Use'],
      cells.slice(0, 400).map((cell) => ({
        cells: [view.link(cell.address, cell.address + cell.size), String(cell.size), cell_text(cell).split(' of ')[0].split(',')[0]],
        mark: changed.touches(cell.address, cell.address + cell.size),
      })))),
    blocks(view),
  ];
}

/** Free cells by size, as bins hold them. */
function bins(cells, changed) {
  const by_size = new Map();
  for (const cell of cells) {
    if (cell.use !== CELL.free) continue;
    const size = cell.size <= 1024 ? cell.size : 2 ** Math.floor(Math.log2(cell.size));
    by_size.set(size, [...(by_size.get(size) ?? []), cell]);
  }
  const sorted = [...by_size].sort(([one], [other]) => one - other);
  const items = sorted.map(([size, held]) => el('li', { class: held.some(({ address, size: own }) => changed.touches(address, address + own)) ? 'changed' : null },
    `${size <= 1024 ? bytes(size) : `${bytes(size)} and more`}: ${count(held.length, 'cell')}`));
  return el('ul', { class: 'bins', 'aria-label': 'Bins: free cells by size' },
    ...(items.length ? items : [el('li', {}, 'All bins are empty.')]));
}

function blocks(view) {
  const recent = [...view.heap.blocks].slice(-12).reverse();
  return details('Live blocks: follow one to its frames', () => table('The latest live blocks', ['Block', 'Bytes', 'Allocated by'],
    recent.map(([address, { size, call }]) => ({
      cells: [
        el('button', { class: 'link', onclick: () => view.follow(address, address + size) }, `follow ${hex(address)}`), String(size),
        el('button', { class: 'link', onclick: () => view.go(call + 1) }, call_text(view.story.events[call])),
      ],
    }))));
}

/** What is built when it is opened. */
function details(summary, build) {
  const element = el('details', {}, el('summary', {}, summary));
  element.addEventListener('toggle', () => {
    if (element.open && element.children.length === 1) element.append(build());
  });
  element.build = () => { if (element.children.length === 1) element.append(build()); };
  return element;
}

// ---- areas and the break

export function areas_layer(view) {
  const { space, changed } = view;
  const areas = space?.areas ?? [];
  if (areas.length === 0) return [el('p', { class: 'none' }, 'No areas are known here.')];
  const weights = areas.map(({ start, end }) => 4 + Math.log2((end - start) / PAGE + 1));
  const gap = 1.5;
  const unit = WIDTH / (weights.reduce((sum, weight) => sum + weight, 0) + gap * areas.length);
  let x = 0;
  const shapes = areas.map((area, index) => {
    const width = weights[index] * unit;
    const is_heap = is_break_area(view, area);
    const mark = (changed.areas && is_heap) || changed.touches(area.start, area.end);
    const text = area_text(area);
    const group = svg('g', {},
      svg('rect', {
        x, y: 4, width, height: 40, class: `area ${area.bits & 4 ? 'text' : area.bits & 2 ? 'data' : 'constant'}${mark ? ' changed' : ''}`, 'data-text': text,
        onclick: () => view.select(area.start, area.end),
      }, svg('title', {}, text)),
      svg('text', { x: x + width / 2, y: 28, class: 'name' }, width > 9 * area.name.length ? area.name : ''),
      is_heap ? svg('path', { d: `M${x + width} 0v48m-5 0h10`, class: changed.areas ? 'break changed' : 'break' }) : null);
    x += width + gap * unit;
    return group;
  });
  const brk = break_of(view);
  const words = `${count(areas.length, 'area')}${brk ? `, the break at ${hex(brk)}` : ''}`;
  return [
    el('p', {}, `${words}.`),
    svg('svg', { viewBox: `0 0 ${WIDTH} 52`, role: 'img', 'aria-label': `Areas: ${words}`, class: 'line' }, ...shapes),
    details('Areas as a table', () => table('Areas, from low to high', ['From', 'To', 'Length', 'May', 'Name'], areas.map((area) => ({
      cells: [view.link(area.start, area.end), hex(area.end), bytes(area.end - area.start), permissions(area.bits) + (area.shared ? 's' : 'p'), area.name],
      mark: changed.touches(area.start, area.end),
    })))),
  ];
}

function is_break_area(view, area) {
  if (view.pid !== 0) return area.name === '[heap]';
  return view.state.breaks.has(area.name) && (area.start === view.heap_id || (area.start <= view.focus && view.focus < area.end));
}

function break_of(view) {
  if (view.pid !== 0) return view.space?.brk ?? 0;
  const is_meant = ({ start, end }) => start === view.heap_id || (start <= view.focus && view.focus <= end);
  const latest = [...view.state.breaks.values()].find(is_meant);
  return latest?.end ?? 0;
}

// ---- pages, page tables, frames

/** What is behind a page. */
export function page_state(story, space, page, owners) {
  const entry = space.entries.get(page);
  if (!entry) return { style: 'missing', text: 'nothing: a touch is a page fault' };
  if (entry.frame === story.machine.zero) return { style: 'zero', text: 'the page of zeros, which all processes share' };
  const shared = (owners.get(entry.frame) ?? 1) > 1;
  const style = entry.flags & 16 ? 'object' : shared ? 'shared' : 'own';
  return { style, text: `frame ${hex(entry.frame)}, ${entry_text(entry.flags, false)}${shared ? `, ${owners.get(entry.frame)} owners` : ''}` };
}

export function pages_layer(view) {
  const { story, state, space, changed } = view;
  // A Linux process has no space of this kernel.
  if (!space || view.space_id < 0) return [el('p', { class: 'none' }, 'Of pages and frames a Linux program knows nothing.')];
  const owners = owners_of(state);
  const low = Math.floor(view.window.low / PAGE) * PAGE;
  const pages = Math.max(Math.ceil((view.window.high - low) / PAGE), 1);
  const step = Math.max(Math.ceil(pages / 512), 1);
  const columns = 64;
  const rows = Math.ceil(Math.ceil(pages / step) / columns);
  const side = WIDTH / columns;
  const shapes = [];
  for (let index = 0; index * step < pages; index += 1) {
    const first = low + index * step * PAGE;
    const { style, text, mark } = group_of(view, first, step, owners);
    shapes.push(svg('rect', {
      x: (index % columns) * side, y: Math.floor(index / columns) * side, width: side - 1.5, height: side - 1.5,
      class: `page ${style}${mark ? ' changed' : ''}`, 'data-text': text, onclick: () => view.select(first, first + step * PAGE),
    }, svg('title', {}, text)));
  }
  const mapped = [...space.entries.values()].filter(({ frame }) => frame !== story.machine.zero).length;
  const words = `${count(mapped, 'page')} with a frame, ${count(space.tables.size + 1, 'page table')}`;
  const scale = step > 1 ? `; a square is ${count(step, 'page')}` : '; a square is a page';
  return [
    el('p', {}, `${words}${scale}.`),
    svg('svg', { viewBox: `0 0 ${WIDTH} ${rows * side}`, role: 'img', 'aria-label': `Pages: ${words}`, class: 'grid' }, ...shapes),
    walk(view, owners), frames(view),
    details('Pages as a table', () => table('Pages that are mapped in the window', ['Page', 'What is behind it'],
      [...space.entries.keys()].filter((page) => page >= low && page < view.window.high).sort((one, other) => one - other).slice(0, 400).map((page) => ({
        cells: [view.link(page, page + PAGE), page_state(story, space, page, owners).text],
        mark: changed.pages.has(`${view.space_id}:${page}`),
      })))),
  ];
}

function group_of(view, first, step, owners) {
  const { story, space, changed } = view;
  const marked = (page) => changed.pages.has(`${view.space_id}:${page}`);
  if (step === 1) {
    const { style, text } = page_state(story, space, first, owners);
    return { style, text: `Page ${hex(first)}: ${text}.`, mark: marked(first) };
  }
  let [present, mark] = [0, false];
  for (let page = first; page < first + step * PAGE && step <= 4096; page += PAGE) {
    present += space.entries.has(page) ? 1 : 0;
    mark ||= marked(page);
  }
  if (step > 4096) {
    for (const page of space.entries.keys()) if (page >= first && page < first + step * PAGE) { present += 1; mark ||= marked(page); }
  }
  const style = present === 0 ? 'missing' : present === step ? 'own' : 'some';
  return { style, text: `${count(step, 'page')} from ${hex(first)}: ${present} mapped.`, mark };
}

/** The walk from the root to the page that is looked at. */
function walk(view, owners) {
  const { story, space, changed, space_id } = view;
  const page = Math.floor(view.focus / PAGE) * PAGE;
  const steps = [el('li', {}, `level 4: frame ${hex(space_id)}`)];
  let is_there = true;
  for (const level of [3, 2, 1]) {
    const key = table_key(page, level);
    const frame = space.tables.get(key);
    const index = Math.floor(page / (PAGE * 512 ** level)) % 512;
    if (frame === undefined) {
      steps.push(el('li', { class: 'missing' }, `entry ${(index + 512) % 512}: no table`));
      is_there = false;
      break;
    }
    const mark = changed.tables.has(`${space_id}:${key}`) || changed.frames.has(frame);
    steps.push(el('li', { class: mark ? 'changed' : null }, `entry ${(index + 512) % 512} → level ${level}: frame ${hex(frame)}`));
  }
  if (is_there) {
    const { text, style } = page_state(story, space, page, owners);
    const index = ((page / PAGE) % 512 + 512) % 512;
    const mark = changed.pages.has(`${space_id}:${page}`);
    steps.push(el('li', { class: `${style}${mark ? ' changed' : ''}` }, `entry ${index} → ${text}`));
  }
  return el('div', { class: 'walk' }, el('h4', {}, `The walk to page ${hex(page)}`), el('ol', {}, ...steps),
    el('button', { class: 'link', onclick: () => view.follow(page, page + PAGE) }, 'follow this page'));
}

/** All of physical memory, as a strip. */
function frames(view) {
  const { story, state, changed, space, space_id } = view;
  const total = story.machine.frames + 1024;
  const slots = 250;
  const per = Math.ceil(total / slots);
  const own = new Set([space_id, ...[...space.entries.values()].map(({ frame }) => frame), ...space.tables.values()]);
  const bars = Array.from({ length: slots }, () => ({ used: 0, own: 0, mark: false }));
  const slot = (frame) => bars[Math.min(Math.floor(frame / PAGE / per), slots - 1)];
  for (const frame of state.frames.keys()) slot(frame).used += 1;
  for (const frame of own) slot(frame).own += 1;
  for (const frame of changed.frames) slot(frame).mark = true;
  const shapes = bars.map(({ used, own: mine, mark }, index) => {
    const text = `Frames ${hex(index * per * PAGE)} to ${hex((index + 1) * per * PAGE)}: ${used} in use since the story began, ${mine} of this address space.`;
    const height = (number) => Math.min(number / per, 1) * 24;
    return svg('g', { 'data-text': text }, svg('title', {}, text),
      svg('rect', { x: index * 4, y: 0, width: 3.4, height: 26, class: `frame${mark ? ' changed' : ''}` }),
      svg('rect', { x: index * 4, y: 25 - height(used), width: 3.4, height: height(used), class: 'frame used' }),
      svg('rect', { x: index * 4, y: 25 - height(mine), width: 3.4, height: height(mine), class: 'frame own' }));
  });
  const words = `Physical memory: ${count(state.free, 'frame')} free of ${story.machine.frames.toLocaleString('en')}`;
  return el('div', {}, el('h4', {}, words), svg('svg', { viewBox: `0 0 ${WIDTH} 28`, role: 'img', 'aria-label': words, class: 'line frames' }, ...shapes));
}

/** A good window for what is looked at: the heap, or the area of the latest touch. */
export function natural_window(view) {
  const cells = cells_of(view);
  if (cells.length > 0) {
    const last = cells.at(-1);
    return { low: cells[0].address, high: last.address + last.size };
  }
  const areas = view.space?.areas ?? [];
  const area = areas.find(({ start, end }) => start <= view.focus && view.focus < end);
  const page = Math.floor(view.focus / PAGE) * PAGE;
  const around = { low: page - 32 * PAGE, high: page + 32 * PAGE };
  return area && area.end - area.start <= 4096 * PAGE ? { low: area.start, high: area.end } : around;
}
