// The way of memory: all events about a range of addresses, from the call to the frame and back.

import { CALLS, KIND, PAGE, table_base } from './reduce.js';

const MOST_EVENTS = 400;

/** The life of a space: from the event that made it to the one that took it away. */
function life(events, id, place, kernel) {
  if (id === kernel) return [0, events.length];
  const is =
    (kind, field) =>
    ([is_kind, ...fields]) =>
      is_kind === kind && fields[field] === id;
  const made = events.slice(0, place).findLastIndex(is(KIND.process, 2));
  const gone = events.findIndex((event, number) => number >= place && is(KIND.gone, 0)(event));
  return [Math.max(made, 0), gone < 0 ? events.length : gone + 1];
}

/** Events about `[from, to)` in a space, with what each is in the way; `place` is in its life. */
export function follow(story, pid, id, [from, to], place) {
  const { events, machine } = story;
  const [first, last] = life(events, id, place, machine.kernel);
  const overlaps = (start, end) => start < to && end > from;
  const pages = [Math.floor(from / PAGE) * PAGE, to];
  const frames = new Set();
  const taken = new Map();
  const found = [];
  const blocks = new Map();
  let is_granted = false;
  let pending = null;
  const add = (number, role) => found.push({ number, role });
  for (let number = first; number < last && found.length < MOST_EVENTS; number += 1) {
    const event = events[number];
    const [kind, a, b, c, d, e, f] = event;
    switch (kind) {
      case KIND.heap_call:
        if (a === pid)
          pending = { number, what: CALLS[c], block: d, size: CALLS[c] === 'realloc' ? f : e };
        break;
      case KIND.heap_done: {
        if (a !== pid || !pending) break;
        const { what, block, size, number: call } = pending;
        const frees = what === 'free' || what === 'realloc';
        const old = blocks.get(block);
        if (frees && old && overlaps(block, block + old)) add(call, `${what} of the block`);
        if (frees) blocks.delete(block);
        if (c !== 0 && !['free', 'reserve', 'trim'].includes(what)) {
          blocks.set(c, size);
          if (overlaps(c, c + size)) {
            add(call, `${what}: the call`);
            add(number, `${what}: the answer`);
          }
        }
        pending = null;
        break;
      }
      case KIND.areas: {
        if (a !== id) break;
        const before = is_granted;
        if (c === 0) is_granted = false;
        for (let at = 4; at < event.length; at += 5) {
          if (overlaps(event[at], event[at + 1])) is_granted = true;
        }
        if (before !== is_granted)
          add(number, is_granted ? 'an area covers it' : 'no area covers it');
        break;
      }
      case KIND.break: {
        const now = overlaps(Math.min(a, b), Math.max(a, b));
        if (id === machine.kernel && now)
          add(number, b > a ? 'the break moves above it' : 'the break moves below it');
        break;
      }
      case KIND.trapped:
        if (a === pid && b >= pages[0] && b < pages[1]) add(number, 'the first touch of a page');
        break;
      case KIND.fault:
        if (id === machine.kernel && a >= pages[0] && a < pages[1])
          add(number, 'the first touch of a page');
        break;
      case KIND.taken:
        taken.set(a, number);
        break;
      case KIND.table:
        if (a === id && overlaps(table_base(b, c), table_base(b, c) + PAGE * 512 ** c)) {
          add(number, d === 0 ? 'a page table goes' : 'a page table comes');
        }
        break;
      case KIND.entry:
        if (a !== id || b < pages[0] || b >= pages[1]) break;
        if (d !== 0 && taken.has(c) && !frames.has(c)) add(taken.get(c), 'a frame for it');
        if (d !== 0) frames.add(c);
        add(number, d === 0 ? 'the page is not mapped any more' : 'the page has a frame');
        break;
      case KIND.given:
        if (frames.delete(a)) add(number, 'its frame goes back');
        break;
      default:
    }
  }
  return found.sort((one, other) => one.number - other.number);
}
