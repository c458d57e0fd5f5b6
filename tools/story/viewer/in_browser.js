// Tests of the page in a browser. The harness puts this module behind the viewer's, opens the page
// in headless Chromium, and reads the verdicts from the document. All of it runs before the page is
// loaded, by the keys and controls that a reader has.

const results = [];

function check(name, run) {
  try {
    const note = run();
    results.push(`ok ${name}${note ? `: ${note}` : ''}`);
  } catch (error) {
    results.push(`FAILED ${name}: ${error.message}`);
  }
}

function expect(what, found, expected) {
  if (found !== expected) throw new Error(`${what}: expected ${expected}, found ${found}`);
}

function expect_that(what, holds) {
  if (!holds) throw new Error(what);
}

function press(key, more = {}) {
  document.dispatchEvent(
    new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more }),
  );
}

function choose(id, value) {
  by_id(id).value = value;
  by_id(id).dispatchEvent(new Event('change'));
}

function submit(form) {
  form.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
}

function text(id) {
  return by_id(id).textContent;
}

const { story: told } = viewer;

check('the state agrees with each snapshot', () => {
  const state = viewer.verify(told.events.length);
  expect('mismatches', state.mismatches.length, 0);
  if (told.machine.frames > 0) expect_that('no snapshot was compared', state.snapshots > 1);
  return `${state.snapshots} snapshots, ${told.events.length} events`;
});

check('each live block is in a cell that is not free, and no cells overlap', () => {
  const places = viewer.beginnings;
  const every = Math.ceil(places.length / 2000);
  const timeline = new Timeline(told);
  let looked = 0;
  for (let at = 0; at < places.length; at += every, looked += 1) {
    const faults = heap_faults(timeline.at(places[at]));
    if (faults.length > 0) throw new Error(`at event ${places[at]}: ${faults[0]}`);
  }
  return `${looked} places`;
});

check('each call and fault of a short story has a snapshot', () => {
  const things = told.events.filter(([kind]) => kind === KIND.returned || kind === KIND.trapped);
  if (told.machine.frames === 0 || things.length > 100) return 'it is long';
  const snapshots = told.events.filter(([kind]) => kind === KIND.snapshot);
  expect_that(
    `${snapshots.length} snapshots of ${things.length} calls and faults`,
    snapshots.length >= things.length,
  );
  return `${snapshots.length} snapshots of ${things.length} calls and faults`;
});

check('the kernel’s own arenas have cells', () => {
  if (told.machine.frames === 0) return 'there is no kernel';
  choose('process', '0');
  viewer.go(told.events.length);
  const names = [...by_id('which_heap').options].map(({ textContent }) => textContent);
  expect_that(`no arena: ${names}`, names.includes('the kernel’s arena of CPU 0'));
  // An arena may have given all of its memory back.
  choose('which_heap', '1');
  expect_that('no cells', by_id('heap').querySelector('svg rect') !== null);
  choose('which_heap', '');
  choose('process', '');
  return names.slice(1, 4).join(', ');
});

for (const question of told.questions) {
  check(`${question.claim} is asked`, () => {
    choose('claim', question.claim);
    expect(
      'the claim that is shown',
      by_id('text').querySelector('h3').textContent.startsWith(`${question.claim}:`),
      true,
    );
    viewer.go(question.at);
    expect_that('the question is not asked', text('quiz').includes(question.ask));
    expect_that('the answer is shown too early', viewer.place <= question.reveal);
    by_id('prediction').value = question.answer;
    submit(by_id('quiz').querySelector('form'));
    expect('the verdict', by_id('verdict').className, 'right');
    expect('the answer', text('answer'), question.answer);
    const line = [...by_id('text').querySelectorAll('ul.text li')].at(-1).textContent;
    expect('the line that the run printed', line, question.line);
    return `${question.answer} | ${line}`;
  });
}

check('each claim has a question', () => {
  for (const { claim } of told.shown)
    expect_that(
      `${claim} has none`,
      told.questions.some((question) => question.claim === claim),
    );
  return `${told.shown.length} claims`;
});

check('a wrong prediction is said to be wrong, and a word in place of a number is none', () => {
  const question = told.questions.find(({ answer }) => /^\d+$/.test(answer));
  if (!question) return 'no question asks for a number';
  viewer.quiz.given.clear();
  viewer.go(question.at);
  by_id('prediction').value = 'many';
  submit(by_id('quiz').querySelector('form'));
  expect('what is said to a word', text('please'), 'a number, please');
  expect('predictions', viewer.quiz.given.size, 0);
  by_id('prediction').value = String(Number(question.answer) + 1);
  submit(by_id('quiz').querySelector('form'));
  expect('the verdict', by_id('verdict').className, 'wrong');
});

check('the beginning says what to do, and only where there is something to choose', () => {
  viewer.go(0);
  expect('an empty box', by_id('text').hidden, told.shown.length === 0);
  if (told.shown.length > 0)
    expect('the box', text('text'), 'Choose a claim, or press Play. ? lists the keys.');
});

check('the walk leads to a page that is shown', () => {
  for (const { from, to } of told.shown) {
    for (const place of [from + 1, Math.floor((from + to) / 2), to]) {
      viewer.go(place);
      const title = by_id('pages').querySelector('.walk h4')?.textContent;
      if (title === undefined) continue;
      const page = parse_address(title.split(' ').at(-1));
      const { low, high } = viewer.window;
      expect_that(`${title} at event ${place}`, page + PAGE > low && page < high);
    }
  }
});

check('the page fits a narrow window', () => {
  // The rules for narrow windows, in this wide one.
  const rules = [...document.styleSheets[0].cssRules].filter((rule) =>
    rule.media?.mediaText.includes('max-width'),
  );
  const texts = rules.flatMap((rule) => [...rule.cssRules].map(({ cssText }) => cssText));
  const style = el('style', {}, ...texts);
  document.head.append(style);
  by_id('way').replaceChildren(el('ol', {}, ...Array.from({ length: 400 }, () => el('li'))));
  const padding = parseFloat(getComputedStyle(by_id('way').querySelector('ol')).paddingLeft);
  viewer.render();
  const place = getComputedStyle(by_id('explain')).position;
  style.remove();
  expect('the line that explains, while it says nothing', place, 'static');
  expect_that(`room for three digits: ${padding} px`, padding > 30);
});

check('playing stops where a question is asked', () => {
  if (told.questions.length === 0) return;
  viewer.quiz.given.clear();
  const [question] = told.questions;
  viewer.go(question.at - 1);
  press('ArrowRight', { shiftKey: true });
  expect('the place', viewer.place, question.at);
  viewer.go(Math.max(question.at - 5, 0));
  viewer.go_on(question.reveal + 100);
  expect('the place', viewer.place, question.at);
});

check('keys move both ways through events, calls and claims', () => {
  for (const question of told.questions) viewer.quiz.answer(question, '');
  press('Home');
  expect('the beginning', viewer.place, 0);
  press('ArrowRight', { shiftKey: true });
  expect('an event on', viewer.place, 1);
  press('ArrowLeft', { shiftKey: true });
  expect('an event back', viewer.place, 0);
  press('End');
  expect('the end', viewer.place, told.events.length);
  press('ArrowLeft');
  expect_that('a call back', viewer.place < told.events.length);
  press('ArrowRight');
  expect('a call on', viewer.place, told.events.length);
  press('Home');
  press('PageDown');
  if (told.shown.length > 0)
    expect_that('the first claim', viewer.place > 0 && viewer.place <= told.shown[0].to);
  for (const key of ['+', '+', 'd', 'a', '-', '0', 't', 't', '?', '?']) press(key);
});

check('the slider goes to any place', () => {
  by_id('time').value = Math.floor(told.events.length / 2);
  by_id('time').dispatchEvent(new Event('input'));
  expect('the place', viewer.place, Math.floor(told.events.length / 2));
  expect_that(
    'the place in words',
    by_id('time').getAttribute('aria-valuetext').includes(String(viewer.place)),
  );
});

check('a block of a program is followed to its frame and back', () => {
  const call = told.events.findIndex(
    ([kind, pid, , what, , size]) =>
      kind === KIND.heap_call && pid > 0 && what === 0 && size === 20000,
  );
  if (call < 0) return 'no block of 20000 bytes';
  const pid = told.events[call][1];
  const done =
    call +
    told.events.slice(call).findIndex(([kind, who]) => kind === KIND.heap_done && who === pid);
  viewer.go(done + 1);
  const block = told.events[done][3];
  expect_that(
    'the source is not shown',
    by_id('program')
      .querySelector('pre .changed')
      .textContent.match(/with_capacity\(BLOCK\)|malloc\(20000\)/) !== null,
  );
  viewer.follow(block, block + 20000);
  const roles = [...by_id('way').querySelectorAll('li')].map((item) => item.dataset.role);
  const wanted = [
    'malloc: the call',
    'an area covers it',
    'the first touch of a page',
    'a frame for it',
    'the page has a frame',
    'free of the block',
    'the page is not mapped any more',
  ];
  let at = -1;
  for (const role of wanted) {
    const next = roles.findIndex((found, index) => index > at && found === role);
    if (next < 0 && !roles.includes(role))
      throw new Error(`the way has no step "${role}": ${roles.join(', ')}`);
    at = Math.max(next, at);
  }
  const frame = [...by_id('way').querySelectorAll('li')].find(
    (item) => item.dataset.role === 'the page has a frame',
  );
  frame.querySelector('button').click();
  expect_that('the page is not marked', by_id('pages').querySelector('rect.page.changed') !== null);
  expect_that(
    'the walk ends at no frame',
    by_id('pages').querySelector('.walk li:last-child').textContent.includes('frame 0x'),
  );
  return `${roles.length} steps`;
});

check('each window of addresses is one', () => {
  for (const { from, to } of told.shown) {
    for (const place of [from + 1, Math.floor((from + to) / 2), to]) {
      viewer.go(place);
      expect_that(`the window at event ${place}`, viewer.window.high > viewer.window.low);
    }
  }
});

check('each picture has words, and each layer a table', () => {
  for (const picture of document.querySelectorAll('main svg[role=img]'))
    expect_that('a picture without words', picture.getAttribute('aria-label').length > 3);
  for (const element of document.querySelectorAll('main details')) element.build?.();
  expect_that('no table', document.querySelectorAll('main table caption').length > 0);
  for (const control of document.querySelectorAll(
    'nav button, .zoom button, nav select, .zoom select, .zoom input',
  )) {
    const name =
      control.textContent || control.labels?.[0]?.textContent || control.getAttribute('aria-label');
    expect_that(`a control without a name: ${control.id}`, Boolean(name));
  }
});

/** Whether a control is on the page and can be used. */
function is_shown(control) {
  const closed = control.closest('details:not([open])');
  return (
    !control.closest('[hidden]') &&
    !control.disabled &&
    (closed === null || control.tagName === 'SUMMARY')
  );
}

check('each control has a name and a role, in the order in which the page shows it', () => {
  const controls = [
    ...document.querySelectorAll('button, input, select, summary, pre[tabindex]'),
  ].filter(is_shown);
  for (const control of controls) {
    const name =
      control.getAttribute('aria-label') || control.labels?.[0]?.textContent || control.textContent;
    expect_that(`a ${control.tagName} without a name: ${control.id}`, Boolean(name?.trim()));
    expect_that(`${control.id || control.tagName} is out of the order`, control.tabIndex === 0);
    expect_that(
      `${control.id || control.tagName} cannot have the focus`,
      (control.focus(), document.activeElement === control),
    );
  }
  for (const element of document.querySelectorAll('[onclick], [data-text]')) {
    const inside = element.closest('svg[role=img][aria-label], button, summary');
    expect_that(
      `a <${element.tagName}> that only a mouse reaches`,
      inside !== null || element.querySelector('button') !== null,
    );
  }
  const named = ['nav', 'form', 'section:not([hidden])'].flatMap((tag) => [
    ...document.querySelectorAll(tag),
  ]);
  for (const part of named)
    expect_that(
      `a <${part.tagName}> ${part.id} without a name`,
      Boolean(part.getAttribute('aria-label') || part.querySelector('h2, h3')),
    );
  expect(
    'what a screen reader is told of each step',
    by_id('event').getAttribute('aria-live'),
    'polite',
  );
  expect('the language', document.documentElement.lang, 'en');
  expect('headings of level 1', document.querySelectorAll('h1').length, 1);
  return `${controls.length} controls`;
});

check('the page goes through all questions by keys alone', () => {
  if (told.questions.length === 0) return 'there are none';
  viewer.quiz.given.clear();
  const [question] = told.questions;
  viewer.go(question.at);
  const answer = by_id('prediction');
  answer.focus();
  expect_that('the answer cannot have the focus', document.activeElement === answer);
  const place = viewer.place;
  answer.dispatchEvent(
    new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true, cancelable: true }),
  );
  expect('a key in the answer moves nothing', viewer.place, place);
  answer.value = question.answer;
  submit(answer.form);
  expect_that('the focus is not on the verdict', document.activeElement === by_id('verdict'));
});

/** The source of the program that is followed, if it is in C. */
function source_in_c() {
  return Object.keys(told.sources).find((name) => /\/user\/c\/[^/]*\.c$/.test(name));
}

check('a program in C is read from its first call to its last by keys alone', () => {
  if (!source_in_c()) return 'this is none';
  press('Home');
  const lines = new Set();
  for (let place = -1; viewer.place !== place; press('ArrowRight')) {
    place = viewer.place;
    const line = by_id('program').querySelector('pre .changed');
    if (line && text('program').includes('.c, line')) lines.add(line.textContent);
  }
  expect('the end', viewer.place, told.events.length);
  expect_that(`only ${lines.size} lines were shown`, lines.size > 2);
  for (const call of ['malloc(', 'free('])
    expect_that(
      `no line with ${call}`,
      [...lines].some((line) => line.includes(call)),
    );
  for (let place = -1; viewer.place !== place; press('ArrowLeft')) place = viewer.place;
  expect('the beginning', viewer.place, 0);
  return `${lines.size} lines`;
});

check('an open table stays open and keeps the focus from step to step', () => {
  const find = () => by_id('areas').querySelector('summary');
  const places = viewer.beginnings.filter((_, index) => index % 50 === 10);
  const place = places.find((at) => (viewer.go(at), find() && viewer.pid > 0));
  if (place === undefined) return 'there are no areas';
  // The process that acts may be another one at the next step.
  choose('process', String(viewer.pid));
  find().focus();
  find().click();
  const { textContent } = find();
  for (const key of ['ArrowLeft', 'ArrowRight']) {
    find().dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    expect_that(`${key} closes the table`, by_id('areas').querySelector('details').open);
    expect_that('the table is empty', by_id('areas').querySelector('td') !== null);
    expect('the focus', document.activeElement.textContent, textContent);
  }
  find().click();
  choose('process', '');
});

check('scrubbing is fluent', () => {
  const places = Array.from({ length: 60 }, (_, index) =>
    Math.floor((told.events.length * ((index * 37) % 60)) / 60),
  );
  let slowest = 0;
  const begun = performance.now();
  for (const place of places) {
    const from = performance.now();
    viewer.go(place);
    slowest = Math.max(slowest, performance.now() - from);
  }
  const each = (performance.now() - begun) / places.length;
  expect_that(`a jump takes ${each.toFixed(0)} ms`, each < 200);
  return `a jump takes ${each.toFixed(1)} ms, the slowest ${slowest.toFixed(0)} ms`;
});

document.documentElement.dataset.theme = '';
document.body.replaceChildren(
  el('pre', { id: 'results' }, `${results.join('\n')}\nend of ${results.length} checks\n`),
);
