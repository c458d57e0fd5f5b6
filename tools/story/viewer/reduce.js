// The state of machine and heaps, as the sum of events.
//
// A state owns the spaces that it has changed since it was copied; the others it shares with the
// state that it is a copy of. So a copy is cheap.

/** Kinds of events: the numbers of the records that they were. */
export const KIND = {
  text: 2,
  process: 3,
  ended: 4,
  gone: 5,
  turn: 6,
  areas: 7,
  break: 8,
  called: 9,
  returned: 10,
  trapped: 11,
  fault: 12,
  taken: 13,
  given: 14,
  entry: 15,
  table: 16,
  heap_call: 17,
  heap_done: 18,
  cells: 19,
  snapshot: 20,
};

/** Kinds of calls of a heap. */
export const CALLS = ['malloc', 'calloc', 'free', 'realloc', 'reserve', 'trim'];

/** Uses of a cell. */
export const CELL = { used: 0, free: 1, top: 2, slab: 3, internal: 4, hole: 5 };

/** Flags of an entry. */
export const FLAG = { present: 1, write: 2, user: 4, no_execute: 8, object: 16 };

const ALL = 0xffffffff;
/** Bytes of a page. */
export const PAGE = 4096;

/** The use of a cell, and what is known of a slab. */
export function cell_state(state) {
  const use = state % 16;
  if (use !== CELL.slab) return { use };
  const field = (from, size) => Math.floor(state / 2 ** from) % 2 ** size;
  return { use, live: field(4, 12), total: field(16, 12), block: Math.floor(state / 2 ** 28) };
}

/** First address that a table of this level covers, for an address in it. */
export function table_base(address, level) {
  const covers = PAGE * 512 ** level;
  return Math.floor(address / covers) * covers;
}

class Heap {
  constructor(cells = [], blocks = new Map()) {
    this.cells = cells;
    this.blocks = blocks;
  }

  copy() {
    return new Heap(this.cells, new Map(this.blocks));
  }
}

class Space {
  constructor(owner, pid, parent, name) {
    Object.assign(this, { owner, pid, parent, name, areas: [], brk: 0, ended: null });
    this.entries = new Map();
    this.tables = new Map();
    this.heaps = new Map();
    this.pending = null;
  }

  copy(owner) {
    const copy = Object.assign(new Space(owner, this.pid, this.parent, this.name), this);
    copy.owner = owner;
    copy.entries = new Map(this.entries);
    copy.tables = new Map(this.tables);
    copy.heaps = new Map([...this.heaps].map(([id, heap]) => [id, heap.copy()]));
    return copy;
  }
}

/** The state after some events. */
export class State {
  constructor(story) {
    this.story = story;
    this.free = story.machine.free;
    this.frames = new Map();
    this.spaces = new Map();
    this.pids = new Map();
    this.breaks = new Map();
    this.turn = 0;
    this.snapshots = 0;
    this.mismatches = [];
    this.spaces.set(story.machine.kernel, new Space(this, 0, 0, 'kernel'));
    this.pids.set(0, story.machine.kernel);
  }

  copy() {
    const copy = Object.assign(Object.create(State.prototype), this);
    for (const map of ['frames', 'spaces', 'pids', 'breaks']) copy[map] = new Map(this[map]);
    copy.mismatches = [...this.mismatches];
    return copy;
  }

  /** The space, to be looked at. */
  space_of(pid) {
    return this.spaces.get(this.pids.get(pid));
  }

  /** The space, to be changed. */
  own(id) {
    let space = this.spaces.get(id);
    if (!space) {
      space = new Space(this, -1, 0, 'a shared object');
      this.spaces.set(id, space);
    } else if (space.owner !== this) {
      space = space.copy(this);
      this.spaces.set(id, space);
    }
    return space;
  }

  heap(pid, id) {
    const space = this.own(this.pids.get(pid));
    if (!space.heaps.has(id)) space.heaps.set(id, new Heap());
    return space.heaps.get(id);
  }

  /** Applies the event of this number. */
  apply(event, number) {
    const rule = RULES[event[0]];
    if (rule) rule(this, event, number);
  }
}

const RULES = {
  [KIND.process](state, [, pid, parent, id, name]) {
    const space = new Space(state, pid, parent, state.story.strings[name]);
    const heaps = parent > 0 ? state.space_of(parent)?.heaps : null;
    // A child begins with what its parent has.
    for (const [heap, what] of heaps ?? []) space.heaps.set(heap, what.copy());
    state.spaces.set(id, space);
    state.pids.set(pid, id);
  },
  [KIND.ended](state, [, pid, code, signal]) {
    const id = state.pids.get(pid);
    if (id !== undefined) state.own(id).ended = signal ? `signal ${signal}` : `status ${code}`;
  },
  [KIND.gone](state, [, id]) {
    const space = state.spaces.get(id);
    state.spaces.delete(id);
    if (space && state.pids.get(space.pid) === id) state.pids.delete(space.pid);
  },
  [KIND.turn](state, [, pid]) {
    state.turn = pid;
  },
  [KIND.areas](state, [, id, brk, first, ...fields]) {
    const space = state.own(id);
    const areas = space.areas.slice(0, first);
    for (let at = 0; at < fields.length; at += 5) {
      const [start, end, bits, shared, name] = fields.slice(at, at + 5);
      areas.push({ start, end, bits, shared: shared === 1, name: state.story.strings[name] });
    }
    Object.assign(space, { areas, brk });
  },
  [KIND.break](state, [, from, to, name]) {
    const space = state.own(state.story.machine.kernel);
    const label = state.story.strings[name];
    const end = Math.ceil(to / PAGE) * PAGE;
    const areas = space.areas.filter((area) => area.name !== label);
    const start = space.areas.find((area) => area.name === label)?.start ?? from;
    if (end > start) {
      const at = areas.findIndex((area) => area.start > start);
      const area = { start, end, bits: 3, shared: false, name: label };
      areas.splice(at < 0 ? areas.length : at, 0, area);
    } else {
      space.heaps.delete(start);
    }
    space.areas = areas;
    state.breaks.set(label, { start, end: to });
  },
  [KIND.taken](state, [, frame, purpose]) {
    state.frames.set(frame, purpose);
    state.free -= 1;
  },
  [KIND.given](state, [, frame]) {
    state.frames.delete(frame);
    state.free += 1;
  },
  [KIND.entry](state, [, id, page, frame, flags]) {
    const { entries } = state.own(id);
    if (flags === 0) entries.delete(page);
    else entries.set(page, { frame, flags });
  },
  [KIND.table](state, [, id, address, level, frame]) {
    const { tables } = state.own(id);
    const key = table_key(address, level);
    if (frame === 0) tables.delete(key);
    else tables.set(key, frame);
  },
  [KIND.heap_call](state, event, number) {
    const id = state.pids.get(event[1]);
    if (id !== undefined) state.own(id).pending = { event, number };
  },
  [KIND.heap_done](state, [, pid, id, result]) {
    const space = state.own(state.pids.get(pid));
    const { pending } = space;
    space.pending = null;
    if (!pending || pending.event[2] !== id) return;
    const { blocks } = state.heap(pid, id);
    const [, , , what, block, size, larger] = pending.event;
    const call = CALLS[what];
    if (call === 'free' || (call === 'realloc' && result !== 0)) blocks.delete(block);
    if (result !== 0 && ['malloc', 'calloc', 'realloc'].includes(call)) {
      blocks.set(result, { size: call === 'realloc' ? larger : size, call: pending.number });
    }
  },
  [KIND.cells](state, [, pid, id, first, gone, ...fields]) {
    const heap = state.heap(pid, id);
    const cells = heap.cells.slice(0, first);
    for (let at = 0; at < fields.length; at += 3) {
      const [address, size, bits] = fields.slice(at, at + 3);
      cells.push({ address, size, ...cell_state(bits) });
    }
    if (gone !== ALL) cells.push(...heap.cells.slice(first + gone));
    heap.cells = cells;
  },
  [KIND.snapshot](state, event, number) {
    const snapshot = read_snapshot(event);
    const space = state.spaces.get(snapshot.id);
    if (space && space.pid === 0 && !space.adopted) adopt(state, snapshot);
    else compare(state, snapshot, number);
    state.snapshots += 1;
  },
};

/** The key of a page table in a space. */
export function table_key(address, level) {
  return `${level}:${table_base(address, level)}`;
}

function read_snapshot([, id, start, end, resident, tables, free, length, ...fields]) {
  const pages = new Map();
  for (let at = 0; at < length; at += 4) {
    const [page, frame, flags, owners] = fields.slice(at, at + 4);
    pages.set(page, { frame, flags, owners });
  }
  const found = new Map();
  for (let at = length; at < fields.length; at += 3) {
    const [address, level, frame] = fields.slice(at, at + 3);
    found.set(table_key(address, level), frame);
  }
  return { id, start, end, resident, tables, free, pages, found };
}

/** What there was before the first event. */
function adopt(state, { id, pages, found }) {
  const space = state.own(id);
  space.adopted = true;
  for (const [page, { frame, flags }] of pages) {
    space.entries.set(page, { frame, flags });
    state.frames.set(frame, 0);
  }
  for (const [key, frame] of found) {
    space.tables.set(key, frame);
    state.frames.set(frame, 1);
  }
}

/** Compares the state with what the kernel says that there is. */
function compare(state, snapshot, number) {
  const wrong = (what, expected, found) => {
    if (expected !== found) state.mismatches.push({ number, what, expected, found });
  };
  const space = state.spaces.get(snapshot.id);
  const inside = (address) => address >= snapshot.start && address < snapshot.end;
  const { zero } = state.story.machine;
  wrong('free frames', snapshot.free, state.free);
  const pages = [...(space?.entries ?? [])].filter(([page]) => inside(page));
  wrong('pages', snapshot.pages.size, pages.length);
  for (const [page, { frame, flags }] of pages) {
    const kernel = snapshot.pages.get(page);
    wrong(`frame of page ${page}`, kernel?.frame, frame);
    wrong(`flags of page ${page}`, kernel?.flags, flags);
  }
  const owners = owners_of(state);
  for (const { frame, owners: expected } of snapshot.pages.values()) {
    if (frame !== zero) wrong(`owners of frame ${frame}`, expected, owners.get(frame));
  }
  const tables = [...(space?.tables ?? [])];
  const covered = tables.filter(([key]) => inside(Number(key.slice(2))) || snapshot.found.has(key));
  wrong('page tables', snapshot.found.size, covered.length);
  for (const [key, frame] of covered) wrong(`table ${key}`, snapshot.found.get(key), frame);
  if (snapshot.start === 0) {
    const resident = pages.filter(([, { frame }]) => frame !== zero).length;
    wrong('resident pages', snapshot.resident, resident);
    wrong('number of tables', snapshot.tables, tables.length);
  }
}

/** The owners of each frame: an entry each. A shared object has page tables of its own. */
export function owners_of(state) {
  const owners = new Map();
  for (const space of state.spaces.values()) {
    for (const { frame } of space.entries.values()) owners.set(frame, (owners.get(frame) ?? 0) + 1);
  }
  return owners;
}

/** What cannot be of the heaps of a state: cells that overlap, and live blocks in free memory. */
export function heap_faults(state) {
  const faults = [];
  const is_free = ({ use }) => use === CELL.free || use === CELL.top || use === CELL.hole;
  for (const { pid, ended, pending, heaps } of state.spaces.values()) {
    if (ended !== null || pending !== null) continue;
    for (const [id, { cells, blocks }] of heaps) {
      const wrong = (what, address) =>
        faults.push(`process ${pid}, heap ${id}: ${what} at ${address}`);
      cells.forEach(({ address }, index) => {
        if (index > 0 && cells[index - 1].address + cells[index - 1].size > address)
          wrong('cells overlap', address);
      });
      const free = cells.filter(is_free);
      const sorted = [...blocks].sort(([one], [other]) => one - other);
      let at = 0;
      for (const [block, { size }] of sorted) {
        while (at < free.length && free[at].address + free[at].size <= block) at += 1;
        if (at < free.length && free[at].address < block + size)
          wrong('a live block is free', block);
      }
    }
  }
  return faults;
}
