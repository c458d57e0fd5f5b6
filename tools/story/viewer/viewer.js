// The page: one place in time, four layers, and the keys that move between places.

import { bytes, count, hex, parse_address } from './words.js';
import { KIND } from './reduce.js';
import { after, before, beginnings, pid_of, Timeline } from './timeline.js';
import { event_text, is_own_heap, process_name } from './explain.js';
import { follow } from './follow.js';
import { by_id, el } from './dom.js';
import { changes } from './changes.js';
import { program_layer } from './program_layer.js';
import { cells_of, heap_layer, natural_window } from './heap_layer.js';
import { areas_layer } from './areas_layer.js';
import { pages_layer } from './pages_layer.js';
import { keep } from './kept.js';
import { Quiz } from './quiz.js';
import {
  fill_claims,
  fill_heaps,
  fill_processes,
  fill_quiz,
  fill_text,
  fill_way,
} from './panels.js';

const SPEEDS = [1, 4, 16, 64, 256];

class Viewer {
  constructor(story) {
    this.story = story;
    this.timeline = new Timeline(story);
    this.beginnings = beginnings(story.events);
    this.quiz = new Quiz(story);
    this.place = 0;
    this.from = 0;
    this.pinned = null;
    this.pinned_heap = null;
    this.pid = 0;
    this.focus = 0;
    this.zoomed = null;
    this.way = null;
    this.timer = null;
    this.speed = 1;
  }

  start() {
    by_id('title').textContent = this.story.what
      ? `The story of ${this.story.what}`
      : 'The story of a heap, from malloc to the frame';
    fill_claims(this);
    this.listen();
    by_id('time').max = this.timeline.length;
    const { hash } = window.location;
    const number = Number(hash.match(/^#event=(\d+)$/)?.[1] ?? 0);
    const claim = hash.match(/^#claim=(C\d+)$/)?.[1];
    if (claim) this.go_to_claim(claim);
    else this.go(number);
    setTimeout(() => this.verify(), 50);
  }

  /** Reduces the whole story, a part at a time, and says whether each snapshot agrees. */
  verify(part = 8192) {
    const checking = (this.checking ??= new Timeline(this.story));
    const next = Math.min(checking.place + part, checking.length);
    const state = checking.at(next);
    const { length } = state.mismatches;
    const [first] = state.mismatches;
    const so_far = next < checking.length ? ' so far' : '';
    const words = first
      ? `State and kernel disagree: ${length} times, first at event ${first.number}: ${first.what}`
      : `The state agrees with ${count(state.snapshots, 'snapshot')} of the kernel${so_far}`;
    by_id('checked').textContent = this.story.machine.frames === 0 ? '' : words;
    by_id('checked').className = length > 0 ? 'wrong' : '';
    if (next < checking.length) setTimeout(() => this.verify(part), 0);
    else this.timeline.kept = checking.kept;
    return state;
  }

  // ---- moving in time

  /** Goes to a place; what happened since `from` is marked. */
  go(place, from = null) {
    const to = Math.min(Math.max(place, 0), this.timeline.length);
    this.from = Math.max(Math.min(from ?? to - 1, to), 0);
    this.place = to;
    this.render();
  }

  /** Goes on, but not past a question that has no answer yet. */
  go_on(place) {
    const question = this.quiz.between(this.place, place);
    this.go(question ? question.at : place, this.place);
    if (question) this.stop();
  }

  step(by) {
    if (by > 0) this.go_on(this.place + by);
    else this.go(this.place + by);
  }

  step_call(by) {
    if (by > 0) {
      this.go_on(after(this.beginnings, this.place));
    } else {
      const to = before(this.beginnings, this.place);
      this.go(to, before(this.beginnings, to));
    }
  }

  go_to_claim(claim) {
    const shown = this.story.shown.find((one) => one.claim === claim);
    if (shown) this.go_to_part(shown);
  }

  /** Goes to a claim, or a part of it, where its first question is asked. */
  go_to_part(shown) {
    by_id('claim').value = shown.claim;
    const question = this.story.questions.find(({ at }) => shown.from < at && at <= shown.to);
    this.zoomed = null;
    this.pinned = null;
    this.go(question ? question.at : shown.from + 1, shown.from);
  }

  step_claim(by) {
    const { shown } = this.story;
    const index = shown.findLastIndex(({ from }) => from < this.place);
    const next = shown[Math.min(Math.max(index + by, 0), shown.length - 1)];
    if (next) this.go_to_part(next);
  }

  reveal(question) {
    this.go(question.reveal + 1, question.at);
    by_id('verdict')?.focus?.();
  }

  play() {
    if (this.timer) {
      this.stop();
      return;
    }
    if (this.place === this.timeline.length) this.go(0);
    by_id('play').textContent = 'Pause';
    const tick = () => {
      if (this.speed > 1) this.go_on(Math.min(this.place + this.speed, this.timeline.length));
      else this.step_call(1);
      if (this.place === this.timeline.length) this.stop();
    };
    this.timer = setInterval(tick, this.speed > 1 ? 60 : 700);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    by_id('play').textContent = 'Play';
  }

  faster() {
    this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
    by_id('speed').textContent =
      this.speed === 1 ? 'a call at a time' : `${this.speed} events at a time`;
    if (this.timer) {
      this.stop();
      this.play();
    }
  }

  // ---- looking at addresses

  select(start, end) {
    this.focus = start;
    const margin = Math.max((end - start) * 2, 64);
    this.zoomed = { low: start - margin, high: end + margin };
    this.render();
  }

  zoom(factor) {
    const { low, high } = this.window;
    const middle = this.focus >= low && this.focus < high ? this.focus : (low + high) / 2;
    const half = Math.max(((high - low) * factor) / 2, 64);
    this.zoomed = { low: Math.floor(middle - half), high: Math.ceil(middle + half) };
    this.render();
  }

  pan(part) {
    const { low, high } = this.window;
    const by = Math.round((high - low) * part);
    this.focus += by;
    this.zoomed = { low: low + by, high: high + by };
    this.render();
  }

  whole() {
    this.zoomed = null;
    this.render();
  }

  look_at(text) {
    const address = parse_address(text);
    if (address === null) return;
    this.focus = address;
    const { low, high } = this.window;
    const half = Math.min((high - low) / 2, 2 ** 20);
    this.zoomed = { low: address - half, high: address + half };
    this.render();
  }

  follow(start, end) {
    const events = follow(this.story, this.pid, this.space_id, [start, end], this.place);
    this.way = { start, end, events };
    this.select(start, end);
    by_id('way').scrollIntoView?.({ block: 'nearest' });
  }

  link(start, end) {
    return el('button', { class: 'link', onclick: () => this.select(start, end) }, hex(start));
  }

  // ---- drawing

  render() {
    const { story, place } = this;
    this.state = this.timeline.at(place);
    this.begun = story.shown.findLast(({ from }) => from < place)?.from ?? 0;
    this.find_subject();
    this.changed = changes(story, this.from, place, this.state);
    this.cells = cells_of(this);
    this.window = this.zoomed ?? natural_window(this);
    by_id('time').value = place;
    by_id('time').setAttribute('aria-valuetext', `event ${place} of ${this.timeline.length}`);
    by_id('where').textContent =
      `${place.toLocaleString('en')} of ${count(this.timeline.length, 'event')}`;
    by_id('event').textContent =
      place === 0
        ? 'Nothing has happened yet.'
        : event_text(story, this.state, story.events[place - 1]);
    by_id('subject').textContent = process_name(this.state, this.pid);
    by_id('from').value = hex(this.window.low);
    by_id('length').textContent = bytes(this.window.high - this.window.low);
    fill_processes(this);
    fill_heaps(this);
    fill_text(this);
    keep(() => {
      by_id('program').replaceChildren(...program_layer(this));
      by_id('heap').replaceChildren(...heap_layer(this));
      by_id('areas').replaceChildren(...areas_layer(this));
      by_id('pages').replaceChildren(...pages_layer(this));
      fill_way(this);
    });
    fill_quiz(this);
  }

  /** The process, the heap and the address that the latest events are about. */
  find_subject() {
    const { story, state, place } = this;
    let [pid, heap, touched] = [this.pinned, null, null];
    const first = Math.max(this.begun, place - 3000);
    for (
      let number = place - 1;
      number >= first && (pid === null || heap === null || touched === null);
      number -= 1
    ) {
      const event = story.events[number];
      const who = event[0] === KIND.fault && pid === 0 ? 0 : pid_of(event, state);
      if (pid === null && who !== null && who >= 0 && state.space_of(who)) pid = who;
      if (who !== pid) continue;
      if (
        heap === null &&
        [KIND.heap_call, KIND.heap_done, KIND.cells].includes(event[0]) &&
        !is_own_heap(who, event[2])
      )
        heap = event[2];
      if (touched === null && event[0] === KIND.entry) touched = event[2];
      if (touched === null && (event[0] === KIND.trapped || event[0] === KIND.break))
        touched = event[2];
      if (touched === null && event[0] === KIND.fault) touched = event[1];
    }
    if (pid === null || !state.space_of(pid)) pid = 0;
    if (pid !== this.pid && this.pinned === null) this.zoomed = null;
    this.pid = pid;
    this.space_id = state.pids.get(pid);
    this.space = state.spaces.get(this.space_id);
    const heaps = this.space?.heaps ?? new Map();
    const latest = [...heaps.keys()].findLast((id) => !is_own_heap(pid, id));
    this.heap_id = [this.pinned_heap, heap, latest, 2].find((id) => heaps.has(id)) ?? null;
    this.heap = heaps.get(this.heap_id) ?? null;
    if (!this.zoomed && touched !== null) this.focus = touched;
  }

  // ---- keys and controls

  listen() {
    const on = (id, event, act) => by_id(id).addEventListener(event, act);
    on('time', 'input', () => {
      this.stop();
      this.go(Number(by_id('time').value));
    });
    on('claim', 'change', () => this.go_to_claim(by_id('claim').value));
    on('process', 'change', () => {
      const { value } = by_id('process');
      this.pinned = value === '' ? null : Number(value);
      this.zoomed = null;
      this.render();
    });
    on('which_heap', 'change', () => {
      const { value } = by_id('which_heap');
      this.pinned_heap = value === '' ? null : Number(value);
      this.zoomed = null;
      this.render();
    });
    on('address', 'submit', (event) => {
      event.preventDefault();
      this.look_at(by_id('from').value);
    });
    for (const [id, act] of Object.entries(this.buttons())) on(id, 'click', act);
    document.addEventListener('keydown', (event) => this.key(event));
    for (const id of ['heap', 'pages']) {
      by_id(id).addEventListener(
        'wheel',
        (event) => {
          if (!event.ctrlKey) return;
          event.preventDefault();
          this.zoom(event.deltaY > 0 ? 1.25 : 0.8);
        },
        { passive: false },
      );
    }
    document.addEventListener('mouseover', (event) => {
      const text = event.target.closest?.('[data-text]')?.getAttribute('data-text');
      by_id('explain').classList.toggle('pointed', Boolean(text));
      if (text) by_id('explain').textContent = text;
    });
  }

  buttons() {
    return {
      play: () => this.play(),
      back: () => this.step_call(-1),
      next: () => this.step_call(1),
      back_event: () => this.step(-1),
      next_event: () => this.step(1),
      speed: () => this.faster(),
      zoom_in: () => this.zoom(0.5),
      zoom_out: () => this.zoom(2),
      left: () => this.pan(-0.5),
      right: () => this.pan(0.5),
      whole: () => this.whole(),
      theme: () => this.change_theme(),
      help: () => by_id('keys').toggleAttribute('hidden'),
    };
  }

  key(event) {
    const typing =
      ['INPUT', 'SELECT', 'TEXTAREA'].includes(event.target.tagName) && event.target.id !== 'time';
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    const keys = {
      ArrowRight: () => (event.shiftKey ? this.step(1) : this.step_call(1)),
      ArrowLeft: () => (event.shiftKey ? this.step(-1) : this.step_call(-1)),
      PageDown: () => this.step_claim(1),
      PageUp: () => this.step_claim(-1),
      Home: () => this.go(0),
      End: () => this.go(this.timeline.length),
      p: () => this.play(),
      s: () => this.faster(),
      '+': () => this.zoom(0.5),
      '-': () => this.zoom(2),
      0: () => this.whole(),
      a: () => this.pan(-0.5),
      d: () => this.pan(0.5),
      t: () => this.change_theme(),
      '?': () => by_id('keys').toggleAttribute('hidden'),
    };
    if (!keys[key]) return;
    event.preventDefault();
    if (key !== 'p' && key !== 's') this.stop();
    keys[key]();
  }

  change_theme() {
    const root = document.documentElement;
    const is_dark = root.dataset.theme
      ? root.dataset.theme === 'dark'
      : window.matchMedia?.('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = is_dark ? 'light' : 'dark';
  }
}

const viewer = new Viewer(JSON.parse(by_id('story').textContent));
viewer.start();
