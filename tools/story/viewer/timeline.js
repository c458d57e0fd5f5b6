// The state at any place of the story, and the places where something begins.

import { KIND, State } from './reduce.js';

/** Events between two states that are kept. */
const STRIDE = 1024;

/** States by place. Place `n` is the one after `n` events. */
export class Timeline {
  constructor(story) {
    this.story = story;
    this.length = story.events.length;
    this.kept = [new State(story)];
    this.place = 0;
    this.state = this.kept[0].copy();
  }

  /** The state at a place. It stays as it is until the next call. */
  at(place) {
    const nearest = Math.min(Math.floor(place / STRIDE), this.kept.length - 1);
    if (place < this.place || nearest * STRIDE > this.place) {
      this.place = nearest * STRIDE;
      this.state = this.kept[nearest].copy();
    }
    while (this.place < place) {
      this.state.apply(this.story.events[this.place], this.place);
      this.place += 1;
      if (this.place === this.kept.length * STRIDE) {
        this.kept.push(this.state);
        this.state = this.state.copy();
      }
    }
    return this.state;
  }
}

/** Places before which a call, a fault or a line of text begins that is inside of no other. */
export function beginnings(events) {
  const open = new Map();
  const places = [0];
  events.forEach((event, number) => {
    const [kind, pid] = event;
    const depth = open.get(pid) ?? 0;
    switch (kind) {
      case KIND.heap_call:
      case KIND.called:
        if (depth === 0) places.push(number);
        open.set(pid, depth + 1);
        break;
      case KIND.trapped:
        if (depth === 0) places.push(number);
        break;
      case KIND.heap_done:
      case KIND.returned:
        open.set(pid, Math.max(depth - 1, 0));
        break;
      case KIND.ended:
        open.delete(pid);
        places.push(number);
        break;
      case KIND.text:
      case KIND.process:
        places.push(number);
        break;
      default:
    }
  });
  places.push(events.length);
  return [...new Set(places)];
}

/** The first of sorted numbers that is above `number`; the last one if none is. */
export function after(numbers, number) {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] > number) high = middle;
    else low = middle + 1;
  }
  return numbers[low];
}

/** The last of sorted numbers that is below `number`; the first one if none is. */
export function before(numbers, number) {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (numbers[middle] < number) low = middle;
    else high = middle - 1;
  }
  return numbers[low];
}

/** The process that an event is about, as far as it says so. */
export function pid_of(event, state) {
  switch (event[0]) {
    case KIND.called:
    case KIND.returned:
    case KIND.trapped:
    case KIND.heap_call:
    case KIND.heap_done:
    case KIND.cells:
    case KIND.ended:
    case KIND.process:
      return event[1];
    case KIND.turn:
      return event[1];
    case KIND.areas:
    case KIND.entry:
    case KIND.table:
    case KIND.snapshot:
      return state.spaces.get(event[1])?.pid ?? null;
    case KIND.break:
      return 0;
    default:
      return null;
  }
}
