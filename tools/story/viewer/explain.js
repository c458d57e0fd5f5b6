// Events and elements in a sentence.

import { bytes, count, hex, permissions } from './words.js';
import { CALLS, CELL, FLAG, KIND } from './reduce.js';

const ACCESS = ['read', 'write', 'instruction fetch'];
const PURPOSE = ['page', 'page table'];

/** The name of a process in this state. */
export function process_name(state, pid) {
  if (pid === 0) return 'the kernel';
  const space = state.space_of(pid);
  return space ? `${space.name} (process ${pid})` : `process ${pid}`;
}

/** Heaps of the kernel below this number are its own: of its arenas, and an arena of each CPU. */
const OWN = 64;

/** Whether a heap is the kernel's own, which it tells of now and then, not at each call. */
export function is_own_heap(pid, id) {
  return pid === 0 && id < OWN;
}

/** The name of a heap of a process. */
export function heap_name(pid, id) {
  if (!is_own_heap(pid, id)) return `the one at ${hex(id)}`;
  return id === 1
    ? 'the kernel’s: what its arenas are made of'
    : `the kernel’s arena of CPU ${id - 2}`;
}

function space_name(state, id) {
  const space = state.spaces.get(id);
  return space ? process_name(state, space.pid) : 'an address space that is being made';
}

/** A call of a heap as a line of C. */
export function call_text([, , , what, block, size, larger]) {
  switch (CALLS[what]) {
    case 'free':
      return `free(${hex(block)})`;
    case 'realloc':
      return `realloc(${hex(block)}, ${larger})`;
    case 'calloc':
      return `calloc(${size < 0 ? 'more than there are addresses' : size})`;
    case 'trim':
      return 'trim()';
    default:
      return `${CALLS[what]}(${size})`;
  }
}

/** What the flags of an entry say. */
export function entry_text(flags, is_zero) {
  if (is_zero) return 'the page of zeros, read-only';
  const words = [flags & FLAG.write ? 'writable' : 'read-only'];
  if (!(flags & FLAG.no_execute)) words.push('executable');
  if (!(flags & FLAG.user)) words.push('for the kernel only');
  if (flags & FLAG.object) words.push('of shared memory');
  return words.join(', ');
}

/** What a cell is. */
export function cell_text(cell) {
  const where = `${bytes(cell.size)} at ${hex(cell.address)}`;
  switch (cell.use) {
    case CELL.used:
      return `Used cell of ${where}: the header, then the payload at ${hex(cell.address + 8)}.`;
    case CELL.free:
      return `Free cell of ${where}: it waits in a bin for a request that fits.`;
    case CELL.top:
      return `Top, free, ${where}: it ends at the break, and is used last.`;
    case CELL.slab:
      return (
        `Slab of ${where}: ${cell.live} of ${cell.total} blocks of ${bytes(cell.block)} ` +
        'are in use.'
      );
    case CELL.hole:
      return `Hole of ${where}: memory of other code, which moved the break as well.`;
    default:
      return `The heap's own memory, ${where}.`;
  }
}

/** What an area is. */
export function area_text(area) {
  const shared = area.shared ? ', shared' : '';
  return (
    `${area.name || 'memory'}: ${hex(area.start)} to ${hex(area.end)}, ` +
    `${bytes(area.end - area.start)}, ` +
    `${permissions(area.bits)}${shared}. An area says what should be there; pages appear when ` +
    'they are touched.'
  );
}

/** What happened, in a sentence; `state` is the one after it. */
export function event_text(story, state, event) {
  const text = (number) => story.strings[number] ?? '';
  const [kind, a, b, c, d] = event;
  switch (kind) {
    case KIND.text:
      return text(b);
    case KIND.process:
      return `Process ${a} is made: ${text(d)}.`;
    case KIND.ended:
      return `${process_name(state, a)} has ended: ${text(d)
        .replace(/^\[.*?\] /, '')
        .trim()}.`;
    case KIND.gone:
      return 'Its page tables are gone.';
    case KIND.turn:
      return `The turn of ${process_name(state, a)} begins.`;
    case KIND.areas:
      return (
        `${space_name(state, a)}: ${count(state.spaces.get(a)?.areas.length ?? 0, 'area')}, ` +
        `the break at ${hex(b)}.`
      );
    case KIND.break:
      return (
        `The break of ${text(c)} moves ${b > a ? 'up' : 'down'} ` +
        `by ${bytes(Math.abs(b - a))}, to ${hex(b)}.`
      );
    case KIND.called:
      return `${process_name(state, a)} makes system call ${b}.`;
    case KIND.returned:
      return text(c)
        .replace(/^\[.*?\] /, '')
        .replace(/\s+=/, ' =')
        .trim();
    case KIND.trapped:
      return `Page fault of ${process_name(state, a)}: ${ACCESS[c]} at ${hex(b)}.`;
    case KIND.fault:
      return `The fault at ${hex(a)} in ${text(c)} is served: the ${ACCESS[b]} is allowed.`;
    case KIND.taken:
      return `Frame ${hex(a)} is taken for a ${PURPOSE[b]}; ${count(state.free, 'frame')} free.`;
    case KIND.given:
      return `Frame ${hex(a)} goes back; ${count(state.free, 'frame')} free.`;
    case KIND.entry:
      return d === 0
        ? `${space_name(state, a)}: page ${hex(b)} is not mapped any more.`
        : `${space_name(state, a)}: page ${hex(b)} → frame ${hex(c)}, ` +
            `${entry_text(d, c === story.machine.zero)}.`;
    case KIND.table:
      return d === 0
        ? `${space_name(state, a)}: the level-${c} table for ${hex(b)} is empty, and taken out.`
        : `${space_name(state, a)}: a level-${c} table for ${hex(b)} in frame ${hex(d)}.`;
    case KIND.heap_call:
      return `${process_name(state, a)} calls ${call_text(event)}.`;
    case KIND.heap_done:
      return c === 0 ? 'The heap is done.' : `The heap returns ${hex(c)}.`;
    case KIND.cells:
      return 'The cells of the heap have changed.';
    case KIND.snapshot:
      return 'The kernel sent a snapshot, and the state here is compared with it.';
    default:
      return '';
  }
}
