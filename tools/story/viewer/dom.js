// Elements of the page.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? '' : value);
  }
  element.append(
    ...children.filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** An element of HTML. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** The element of this id. */
export function by_id(id) {
  return document.getElementById(id);
}

/** Text in which `words` between back-ticks are code. */
export function prose(text) {
  return text
    .replaceAll('*', '')
    .split('`')
    .map((part, index) => (index % 2 ? el('code', {}, part) : part));
}

/** A table; each row is a list of texts or elements, and may carry a class. */
export function table(caption, heads, rows) {
  const head = el('tr', {}, ...heads.map((text) => el('th', { scope: 'col' }, text)));
  const body = rows.map(({ cells, mark }) =>
    el('tr', { class: mark ? 'changed' : null }, ...cells.map((cell) => el('td', {}, cell))),
  );
  return el(
    'table',
    {},
    el('caption', {}, caption),
    el('thead', {}, head),
    el('tbody', {}, ...body),
  );
}
