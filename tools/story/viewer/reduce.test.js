// Tests of the reducer and of a picture; `node --test` runs them. With STORY=file.json also on a
// real story.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { items_of } from './heap_layer.js';
import { CELL, cell_state, heap_faults, KIND, State } from './reduce.js';
import { after, before, beginnings, Timeline } from './timeline.js';

const MACHINE = { kernel: 1, frames: 100, free: 50, zero: 8192, page: 4096 };
const STRINGS = ['program', '[heap]', 'scratch 1'];

function story(events) {
  return { machine: MACHINE, strings: STRINGS, sources: {}, events };
}

/** A process that touches one page, twice forked, and gone. */
const EVENTS = [
  [KIND.process, 1, 0, 77, 0],
  [KIND.areas, 77, 8192, 0, 4096, 8192, 3, 0, 1],
  [KIND.heap_call, 1, 5, 0, 0, 100, 0, -1, 0],
  [KIND.taken, 40960, 0],
  [KIND.taken, 45056, 1],
  [KIND.table, 77, 4096, 1, 45056],
  [KIND.entry, 77, 4096, 40960, 7],
  [KIND.heap_done, 1, 5, 4112],
  [KIND.cells, 1, 5, 0, 0xffffffff, 4104, 112, 0, 4216, 3976, 2],
  [KIND.process, 2, 1, 78, 0],
  [KIND.entry, 78, 4096, 40960, 5],
  [KIND.entry, 77, 4096, 40960, 5],
  [KIND.snapshot, 77, 0, 2 ** 47, 1, 1, 48, 4, 4096, 40960, 5, 2, 4096, 1, 45056],
  [KIND.heap_call, 1, 5, 2, 4112, 100, 0, -1, 0],
  [KIND.heap_done, 1, 5, 0],
  [KIND.cells, 1, 5, 0, 2, 4104, 4088, 2],
  [KIND.entry, 78, 4096, 0, 0],
  [KIND.given, 40960, 0],
  [KIND.gone, 78],
];

test('the state is the sum of events', () => {
  const timeline = new Timeline(story(EVENTS));
  const state = timeline.at(9);
  const space = state.space_of(1);
  assert.equal(state.free, 48);
  assert.deepEqual(space.entries.get(4096), { frame: 40960, flags: 7 });
  assert.deepEqual([...space.heaps.get(5).blocks], [[4112, { size: 100, call: 2 }]]);
  assert.equal(space.heaps.get(5).cells.length, 2);
  assert.equal(timeline.at(EVENTS.length).space_of(1).heaps.get(5).blocks.size, 0);
  assert.equal(timeline.at(EVENTS.length).space_of(2), undefined);
});

test('a child begins with the heap of its parent, and each has its own from then on', () => {
  const state = new Timeline(story(EVENTS)).at(16);
  assert.equal(state.space_of(2).heaps.get(5).blocks.size, 1);
  assert.equal(state.space_of(1).heaps.get(5).blocks.size, 0);
});

test('a snapshot that agrees is counted, and one that does not is a mismatch', () => {
  const good = new Timeline(story(EVENTS)).at(EVENTS.length);
  assert.equal(good.snapshots, 1);
  assert.deepEqual(good.mismatches, []);
  for (const [index, value] of [
    [6, 47],
    [4, 2],
    [5, 3],
    [9, 4096],
    [10, 7],
    [11, 1],
    [14, 8],
  ]) {
    const events = EVENTS.map((event) => [...event]);
    events[12][index] = value;
    const bad = new Timeline(story(events)).at(events.length);
    assert.notEqual(bad.mismatches.length, 0, `field ${index}`);
  }
});

test('the first snapshot of the kernel is what there was before', () => {
  const adopted = [KIND.snapshot, 1, 0, 2 ** 47, 1, 1, 50, 4, 4096, 40960, 5, 1, 4096, 1, 45056];
  const state = new Timeline(story([adopted, adopted])).at(2);
  assert.deepEqual(state.mismatches, []);
  assert.equal(state.frames.get(45056), 1);
});

test('a break of the kernel is an area whose end moves', () => {
  const events = [
    [KIND.break, 4096, 5000, 2],
    [KIND.break, 5000, 4096, 2],
  ];
  const timeline = new Timeline(story(events));
  assert.deepEqual(
    timeline
      .at(1)
      .space_of(0)
      .areas.map(({ start, end }) => [start, end]),
    [[4096, 8192]],
  );
  assert.deepEqual(timeline.at(2).space_of(0).areas, []);
});

test('going back and forth leads to the same states', () => {
  const events = [];
  for (let round = 0; round < 300; round += 1) {
    for (const event of EVENTS) events.push(event.map((field) => field));
    events.push([KIND.gone, 77], [KIND.taken, 4, 0], [KIND.given, 4, 0]);
  }
  const timeline = new Timeline(story(events));
  const seen = (place) => {
    const state = timeline.at(place);
    const spaces = [...state.spaces].map(([id, { entries, heaps, areas }]) => [
      id,
      [...entries],
      areas,
      [...heaps].map(([heap, { cells, blocks }]) => [heap, cells, [...blocks]]),
    ]);
    return JSON.stringify([state.free, [...state.frames], spaces]);
  };
  const places = Array.from({ length: 60 }, (_, index) => (index * 1009) % (events.length + 1));
  const forward = new Map([...places].sort((a, b) => a - b).map((place) => [place, seen(place)]));
  for (const place of places) assert.equal(seen(place), forward.get(place), `place ${place}`);
});

test('any of 100,000 events is reached from a state that is near', () => {
  const events = [[KIND.process, 1, 0, 77, 0]];
  while (events.length < 100_000) events.push([KIND.taken, 4, 0], [KIND.given, 4, 0]);
  const timeline = new Timeline(story(events));
  timeline.at(events.length);
  const { apply } = State.prototype;
  let [applied, most] = [0, 0];
  State.prototype.apply = function count(...of) {
    applied += 1;
    return apply.apply(this, of);
  };
  for (let jump = 1; jump < 400; jump += 1) {
    // Somewhere, and from there a step back.
    const place = (jump * 20_011) % events.length;
    for (const at of [place, Math.max(place - 1, 0)]) {
      applied = 0;
      timeline.at(at);
      most = Math.max(most, applied);
    }
  }
  State.prototype.apply = apply;
  assert.ok(most > 500 && most < 2048, `${most} events are applied for a step`);
});

test('a block is in the slab around it, and a heap of many cells is drawn at once', () => {
  const cells = Array.from({ length: 40_000 }, (_, index) => ({
    address: 4096 * (index + 1),
    size: 2048,
    use: index % 4 === 0 ? CELL.slab : CELL.used,
    block: 64,
  }));
  const blocks = cells.map(({ address }) => [address + 64, { size: 50, call: 1 }]);
  const far = [4096 * 5 + 2048, { size: 50, call: 1 }];
  const heap = { blocks: new Map([...blocks, far]) };
  const view = { heap, cells, changed: { touches: () => false } };
  const begun = performance.now();
  const items = items_of(view);
  const took = performance.now() - begun;
  const of_blocks = items.filter(({ style }) => style === 'block');
  assert.equal(items.length - of_blocks.length, cells.length);
  assert.equal(of_blocks.length, cells.length / 4);
  assert.deepEqual(of_blocks[1].start, 4096 * 5 + 64);
  assert.match(of_blocks[1].text(), /^Block of 50 bytes at 0x5040 in a slab/);
  assert.ok(took < 1000, `${took.toFixed(0)} ms`);
});

test('cells that overlap, and a live block in free memory, are faults', () => {
  const whole = new Timeline(story(EVENTS)).at(9);
  assert.deepEqual(heap_faults(whole), []);
  const faults = (cells) => {
    const events = [...EVENTS.slice(0, 8), [KIND.cells, 1, 5, 0, 0xffffffff, ...cells]];
    return heap_faults(new Timeline(story(events)).at(9)).length;
  };
  assert.equal(faults([4104, 112, 0, 4200, 3992, 0]), 1);
  assert.equal(faults([4104, 112, 1, 4216, 3976, 2]), 1);
  assert.equal(faults([4104, 4088, 3 + 5 * 2 ** 4 + 60 * 2 ** 16 + 64 * 2 ** 28]), 0);
});

test('a slab says how many of its blocks are live', () => {
  const state = 3 + 5 * 2 ** 4 + 60 * 2 ** 16 + 64 * 2 ** 28;
  assert.deepEqual(cell_state(state), { use: 3, live: 5, total: 60, block: 64 });
});

test('what begins inside of a call is no beginning', () => {
  const places = beginnings(EVENTS);
  assert.deepEqual(places, [0, 2, 9, 13, EVENTS.length]);
  assert.deepEqual(
    [after(places, 2), after(places, 99), before(places, 9), before(places, 0)],
    [9, 19, 2, 0],
  );
});

const file = process.env.STORY;
test(
  'a real story agrees with every snapshot of its kernel',
  { skip: !file && 'STORY names none' },
  () => {
    const page = readFileSync(file, 'utf8');
    const json = page.split('type="application/json">')[1].split('</script>')[0];
    const real = JSON.parse(json);
    const state = new Timeline(real).at(real.events.length);
    assert.deepEqual(state.mismatches.slice(0, 5), []);
    assert.ok(state.snapshots > 1, `${state.snapshots} snapshots`);
    const timeline = new Timeline(real);
    for (const place of beginnings(real.events))
      assert.deepEqual(heap_faults(timeline.at(place)), [], `place ${place}`);
  },
);
