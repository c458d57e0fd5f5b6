// What a step has changed, so that the layers can mark it.

import { KIND, table_key } from './reduce.js';

/** What the events `[from, to)` have changed, in all layers. */
export function changes(story, from, to, state) {
  const changed = {
    pages: new Set(),
    frames: new Set(),
    tables: new Set(),
    areas: false,
    brk: false,
    heap: false,
    ranges: [],
  };
  for (const event of story.events.slice(Math.max(from, to - 2000), to)) {
    const [kind, a, b, c, d] = event;
    switch (kind) {
      case KIND.entry:
        changed.pages.add(`${a}:${b}`);
        if (d) changed.frames.add(c);
        break;
      case KIND.taken:
      case KIND.given:
        changed.frames.add(a);
        break;
      case KIND.table:
        changed.tables.add(`${a}:${table_key(b, c)}`);
        break;
      case KIND.areas:
        changed.areas = true;
        break;
      case KIND.break:
        changed.brk = true;
        changed.areas = true;
        break;
      case KIND.trapped:
        changed.ranges.push([b, b + 1]);
        break;
      case KIND.fault:
        changed.ranges.push([a, a + 1]);
        break;
      case KIND.heap_done:
        if (c)
          changed.ranges.push([c, c + (state.space_of(a)?.heaps.get(b)?.blocks.get(c)?.size ?? 1)]);
        changed.heap = true;
        break;
      case KIND.heap_call:
        if (d) changed.ranges.push([d, d + 1]);
        changed.heap = true;
        break;
      case KIND.cells:
        changed.heap = true;
        for (let at = 5; at < Math.min(event.length, 5 + 3 * 64); at += 3)
          changed.ranges.push([event[at], event[at] + event[at + 1]]);
        break;
      default:
    }
  }
  changed.touches = (start, end) => changed.ranges.some(([low, high]) => low < end && high > start);
  return changed;
}
