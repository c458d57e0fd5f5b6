// The first layer: what the program calls, with the line of its source.

import { KIND } from './reduce.js';
import { event_text } from './explain.js';
import { el } from './dom.js';

/** The latest call of a process, with the line of its source. */
export function program_layer(view) {
  const { story, state, place, pid } = view;
  let at = null;
  const calls = [];
  for (
    let number = place - 1;
    number >= Math.max(view.begun, place - 4000) && calls.length < 8;
    number -= 1
  ) {
    const [kind, who] = story.events[number];
    const is_call =
      kind === KIND.heap_call ||
      kind === KIND.returned ||
      kind === KIND.trapped ||
      kind === KIND.called;
    if (!is_call || who !== pid) continue;
    if (!at && kind !== KIND.returned && source_of(story.events[number])) at = story.events[number];
    if (kind !== KIND.called) calls.push(number);
  }
  const list = el(
    'ol',
    { class: 'calls', 'aria-label': 'The latest calls, the last one first' },
    ...calls.map((number) =>
      el(
        'li',
        { class: number >= view.from ? 'changed' : null },
        el(
          'button',
          { class: 'link', onclick: () => view.go(number + 1) },
          event_text(story, state, story.events[number]),
        ),
      ),
    ),
  );
  return [source_excerpt(story, at), list];
}

function source_of(event) {
  const [file, line] = event.slice(
    { [KIND.heap_call]: 7, [KIND.called]: 3, [KIND.trapped]: 4 }[event[0]],
  );
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
  return el(
    'figure',
    {},
    el('figcaption', {}, `${name}, line ${line}`),
    el('pre', { tabindex: 0 }, ...rows),
  );
}
