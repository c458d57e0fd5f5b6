// What stands beside the layers: claims, questions, the way of a block, and what can be chosen.

import { hex } from './words.js';
import { KIND } from './reduce.js';
import { heap_name, process_name } from './explain.js';
import { by_id, el, prose } from './dom.js';
import { quiz_panel } from './quiz.js';

/** The list of claims to go to. */
export function fill_claims(view) {
  const { shown, claims } = view.story;
  const select = by_id('claim');
  const numbers = [...new Set(shown.map(({ claim }) => claim))];
  const options = numbers.map((claim) => {
    const text = claims.find(({ number }) => number === claim)?.text.replaceAll('`', '') ?? '';
    return el(
      'option',
      { value: claim },
      `${claim}  ${text.length > 80 ? `${text.slice(0, 78)}…` : text}`,
    );
  });
  select.append(
    el('option', { value: '' }, shown.length ? 'Choose a claim' : 'This story has no claims'),
    ...options,
  );
  select.disabled = shown.length === 0;
}

/** The list of processes to look at. */
export function fill_processes(view) {
  const select = by_id('process');
  const options = [
    ['', 'the one that acts'],
    ...[...view.state.pids.keys()].map((pid) => [String(pid), process_name(view.state, pid)]),
  ];
  const key = options.map(([value]) => value).join();
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...options.map(([value, text]) => el('option', { value }, text)));
  }
  select.value = view.pinned === null ? '' : String(view.pinned);
}

/** The list of heaps of the process. */
export function fill_heaps(view) {
  const select = by_id('which_heap');
  const heaps = [...(view.space?.heaps.keys() ?? [])].sort((one, other) => one - other);
  const options = [
    ['', 'the one that acts'],
    ...heaps.map((id) => [String(id), heap_name(view.pid, id)]),
  ];
  const key = `${view.pid}: ${heaps}`;
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...options.map(([value, text]) => el('option', { value }, text)));
  }
  select.value =
    view.heap_id === view.pinned_heap && view.heap_id !== null ? String(view.heap_id) : '';
}

/** The claim that is shown, and what was printed of it so far. */
export function fill_text(view) {
  const { story, place } = view;
  const shown = story.shown.findLast(({ from }) => from < place);
  const from = shown?.from ?? 0;
  const claim = story.claims.find(({ number }) => number === shown?.claim);
  if (shown && document.activeElement !== by_id('claim')) by_id('claim').value = shown.claim;
  const lines = [];
  for (let number = place - 1; number >= from && lines.length < 14; number -= 1) {
    const [kind, style, text] = story.events[number];
    if (kind === KIND.text && style !== 0)
      lines.unshift(
        el(
          'li',
          { class: `text${style}${number >= view.from ? ' changed' : ''}` },
          story.strings[text],
        ),
      );
  }
  const parts = [
    ...(claim
      ? [
          el('h3', {}, `${claim.number}: `, ...prose(claim.text)),
          el('p', { class: 'think' }, 'To think about: ', ...prose(claim.question)),
          el('p', { class: 'code' }, 'Code: ', ...prose(claim.code)),
        ]
      : story.shown.length > 0
        ? [el('p', {}, ...prose('Choose a claim, or press Play. `?` lists the keys.'))]
        : []),
    lines.length > 0 &&
      el('ul', { class: 'text', 'aria-label': 'What the run printed' }, ...lines),
  ].filter(Boolean);
  by_id('text').replaceChildren(...parts);
  by_id('text').hidden = parts.length === 0;
}

/** The questions that are asked here. */
export function fill_quiz(view) {
  const questions = view.quiz.at(view.place);
  const key = questions
    .map((question) => `${question.at} ${question.reveal} ${view.quiz.given.has(question)}`)
    .join();
  if (key !== view.asked) {
    view.asked = key;
    const panels = questions.flatMap((question) =>
      quiz_panel(view.quiz, question, (answered) => view.reveal(answered)),
    );
    by_id('quiz').replaceChildren(...panels);
    by_id('quiz').hidden = panels.length === 0;
  }
  by_id('score').textContent = view.story.questions.length ? view.quiz.score() : '';
}

/** The way of a block or a page, once it is followed. */
export function fill_way(view) {
  const box = by_id('way');
  if (!view.way) {
    box.replaceChildren();
    return;
  }
  const { start, end, events } = view.way;
  const items = events.map(({ number, role }) =>
    el(
      'li',
      { class: number + 1 === view.place ? 'changed' : null, 'data-role': role },
      el('button', { class: 'link', onclick: () => view.go(number + 1) }, `${number + 1}: ${role}`),
    ),
  );
  box.replaceChildren(
    el('h3', {}, `The way of ${hex(start)} to ${hex(end)}`),
    el(
      'button',
      {
        onclick: () => {
          view.way = null;
          view.render();
        },
      },
      'Close',
    ),
    el('ol', {}, ...items),
  );
}
