// The fourth layer: pages, the walk to one of them, and the frames of the whole machine.

import { count, hex } from './words.js';
import { owners_of, PAGE, table_key } from './reduce.js';
import { entry_text } from './explain.js';
import { el, svg, table } from './dom.js';
import { details, WIDTH } from './drawing.js';

/** What is behind a page. */
export function page_state(story, space, page, owners) {
  const entry = space.entries.get(page);
  if (!entry) return { style: 'missing', text: 'nothing: a touch is a page fault' };
  if (entry.frame === story.machine.zero)
    return { style: 'zero', text: 'the page of zeros, which all processes share' };
  const shared = (owners.get(entry.frame) ?? 1) > 1;
  const style = entry.flags & 16 ? 'object' : shared ? 'shared' : 'own';
  const of_all = shared ? `, ${owners.get(entry.frame)} owners` : '';
  return { style, text: `frame ${hex(entry.frame)}, ${entry_text(entry.flags, false)}${of_all}` };
}

export function pages_layer(view) {
  const { story, state, space, changed } = view;
  // A Linux process has no space of this kernel.
  if (!space || view.space_id < 0)
    return [el('p', { class: 'none' }, 'Of pages and frames a Linux program knows nothing.')];
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
    shapes.push(
      svg(
        'rect',
        {
          x: (index % columns) * side,
          y: Math.floor(index / columns) * side,
          width: side - 1.5,
          height: side - 1.5,
          class: `page ${style}${mark ? ' changed' : ''}`,
          'data-text': text,
          onclick: () => view.select(first, first + step * PAGE),
        },
        svg('title', {}, text),
      ),
    );
  }
  const mapped = [...space.entries.values()].filter(
    ({ frame }) => frame !== story.machine.zero,
  ).length;
  const tables = count(space.tables.size + 1, 'page table');
  const words = `${count(mapped, 'page')} with a frame, ${tables}`;
  const scale = step > 1 ? `; a square is ${count(step, 'page')}` : '; a square is a page';
  return [
    el('p', {}, `${words}${scale}.`),
    svg(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${rows * side}`,
        role: 'img',
        'aria-label': `Pages: ${words}`,
        class: 'grid',
      },
      ...shapes,
    ),
    walk(view, owners),
    frames(view),
    details('Pages as a table', () =>
      table(
        'Pages that are mapped in the window',
        ['Page', 'What is behind it'],
        [...space.entries.keys()]
          .filter((page) => page >= low && page < view.window.high)
          .sort((one, other) => one - other)
          .slice(0, 400)
          .map((page) => ({
            cells: [view.link(page, page + PAGE), page_state(story, space, page, owners).text],
            mark: changed.pages.has(`${view.space_id}:${page}`),
          })),
      ),
    ),
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
    for (const page of space.entries.keys())
      if (page >= first && page < first + step * PAGE) {
        present += 1;
        mark ||= marked(page);
      }
  }
  const style = present === 0 ? 'missing' : present === step ? 'own' : 'some';
  return { style, text: `${count(step, 'page')} from ${hex(first)}: ${present} mapped.`, mark };
}

/** The walk from the root to the page that is looked at, or to the first one that is shown. */
function walk(view, owners) {
  const { story, space, changed, space_id } = view;
  const { low, high } = view.window;
  const focus = view.focus >= low && view.focus < high ? view.focus : low;
  const page = Math.floor(focus / PAGE) * PAGE;
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
    steps.push(
      el(
        'li',
        { class: mark ? 'changed' : null },
        `entry ${(index + 512) % 512} → level ${level}: frame ${hex(frame)}`,
      ),
    );
  }
  if (is_there) {
    const { text, style } = page_state(story, space, page, owners);
    const index = (((page / PAGE) % 512) + 512) % 512;
    const mark = changed.pages.has(`${space_id}:${page}`);
    steps.push(
      el('li', { class: `${style}${mark ? ' changed' : ''}` }, `entry ${index} → ${text}`),
    );
  }
  return el(
    'div',
    { class: 'walk' },
    el('h4', {}, `The walk to page ${hex(page)}`),
    el('ol', {}, ...steps),
    el(
      'button',
      { class: 'link', onclick: () => view.follow(page, page + PAGE) },
      'follow this page',
    ),
  );
}

/** All of physical memory, as a strip. */
function frames(view) {
  const { story, state, changed, space, space_id } = view;
  const total = story.machine.frames + 1024;
  const slots = 250;
  const per = Math.ceil(total / slots);
  const own = new Set([
    space_id,
    ...[...space.entries.values()].map(({ frame }) => frame),
    ...space.tables.values(),
  ]);
  const bars = Array.from({ length: slots }, () => ({ used: 0, own: 0, mark: false }));
  const slot = (frame) => bars[Math.min(Math.floor(frame / PAGE / per), slots - 1)];
  for (const frame of state.frames.keys()) slot(frame).used += 1;
  for (const frame of own) slot(frame).own += 1;
  for (const frame of changed.frames) slot(frame).mark = true;
  const shapes = bars.map(({ used, own: mine, mark }, index) => {
    const [first, end] = [index, index + 1].map((bar) => hex(bar * per * PAGE));
    const text =
      `Frames ${first} to ${end}: ${used} in use since the story began, ` +
      `${mine} of this address space.`;
    const height = (number) => Math.min(number / per, 1) * 24;
    return svg(
      'g',
      { 'data-text': text },
      svg('title', {}, text),
      svg('rect', {
        x: index * 4,
        y: 0,
        width: 3.4,
        height: 26,
        class: `frame${mark ? ' changed' : ''}`,
      }),
      svg('rect', {
        x: index * 4,
        y: 25 - height(used),
        width: 3.4,
        height: height(used),
        class: 'frame used',
      }),
      svg('rect', {
        x: index * 4,
        y: 25 - height(mine),
        width: 3.4,
        height: height(mine),
        class: 'frame own',
      }),
    );
  });
  const all = story.machine.frames.toLocaleString('en');
  const words = `Physical memory: ${count(state.free, 'frame')} free of ${all}`;
  return el(
    'div',
    {},
    el('h4', {}, words),
    svg(
      'svg',
      { viewBox: `0 0 ${WIDTH} 28`, role: 'img', 'aria-label': words, class: 'line frames' },
      ...shapes,
    ),
  );
}
