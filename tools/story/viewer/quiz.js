// Predict before reveal: what is asked, what was answered, and what the run says.

import { count } from './words.js';
import { el } from './dom.js';

/** Questions and their answers. */
export class Quiz {
  constructor(story) {
    this.questions = story.questions;
    this.given = new Map();
  }

  /** The questions of a place: the latest that was answered, and the first that is open. */
  at(place) {
    const near = this.questions.filter(({ at, reveal }) => at <= place && place <= reveal + 1);
    const answered = near.findLast((question) => this.given.has(question));
    const open = near.find((question) => !this.given.has(question) && place <= question.reveal);
    return [answered, open].filter(Boolean);
  }

  /** The first unanswered question that a move from one place to another comes upon. */
  between(from, to) {
    return (
      this.questions.find(
        (question) => from < question.at && question.at <= to && !this.given.has(question),
      ) ?? null
    );
  }

  /** Whether an answer can be one: where the run says a number, a number, or nothing at all. */
  takes(question, text) {
    const is_number = (word) => /^-?[\d., _]*\d$/.test(word.trim());
    return text.trim() === '' || !is_number(question.answer) || is_number(text);
  }

  answer(question, text) {
    this.given.set(question, text.trim());
  }

  /** Whether an answer is the run's. */
  is_right(question) {
    const given = (this.given.get(question) ?? '').toLowerCase().replace(/[ ,_]/g, '');
    return given === question.answer.toLowerCase();
  }

  score() {
    const right = [...this.given.keys()].filter((question) => this.is_right(question)).length;
    const given = count(this.given.size, 'prediction');
    return `${right} of ${given} right, ${count(this.questions.length, 'question')}`;
  }
}

/** What the page shows of a question; `reveal` is called when an answer was given. */
export function quiz_panel(quiz, question, reveal) {
  const title = el('h3', {}, `${question.claim}: predict`);
  if (quiz.given.has(question)) {
    const given = quiz.given.get(question) || 'nothing';
    const is_right = quiz.is_right(question);
    return [
      title,
      el('p', {}, question.ask),
      el(
        'p',
        { class: is_right ? 'right' : 'wrong', role: 'status', id: 'verdict', tabindex: -1 },
        `${is_right ? 'Right' : 'The run says otherwise'}: you said ${given}, the run says `,
        el('strong', { id: 'answer' }, question.answer),
        '.',
      ),
      el('p', { class: 'evidence' }, question.line),
    ];
  }
  const input =
    question.answer === 'yes' || question.answer === 'no'
      ? el(
          'select',
          { id: 'prediction', name: 'prediction' },
          ...['', 'yes', 'no'].map((value) => el('option', { value }, value)),
        )
      : el('input', {
          id: 'prediction',
          name: 'prediction',
          inputmode: 'numeric',
          autocomplete: 'off',
          size: 12,
        });
  const please = el('p', { class: 'wrong', id: 'please', role: 'status' });
  const form = el(
    'form',
    {
      onsubmit: (event) => {
        event.preventDefault();
        if (!quiz.takes(question, input.value)) {
          please.textContent = 'a number, please';
          input.focus();
          return;
        }
        quiz.answer(question, input.value);
        reveal(question);
      },
    },
    el('label', { for: 'prediction' }, question.ask),
    ' ',
    input,
    ' ',
    el('button', { type: 'submit' }, 'Show what happens'),
    please,
  );
  return [title, form];
}
