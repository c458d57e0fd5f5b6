// What several layers draw: a line of addresses, and tables that are built when they are opened.

import { hex } from './words.js';
import { el, svg } from './dom.js';

/** Width of a picture, in its own units. */
export const WIDTH = 1000;

/** Elements of a line; where there are more, neighbours are drawn as one. */
const MOST = 600;

/** Draws what lies in a window of addresses, from left to right. Of items that are drawn, `text` is
 * called. */
export function line_of(view, items, label) {
  const { low, high } = view.window;
  const scale = WIDTH / Math.max(high - low, 1);
  const x = (address) => Math.min(Math.max((address - low) * scale, -1), WIDTH + 1);
  const inside = items.filter(({ start, end }) => start < high && end > low);
  const drawn =
    inside.length > MOST
      ? inside.filter(({ mark }, index) => mark || index % Math.ceil(inside.length / MOST) === 0)
      : inside;
  const shapes = drawn.map(({ start, end, style, mark, text: say, name }) => {
    const text = say();
    const [left, width] = [x(start), Math.max(x(end) - x(start), 0.8)];
    const shape = svg(
      'rect',
      {
        x: left,
        y: 4,
        width,
        height: 40,
        class: `${style}${mark ? ' changed' : ''}`,
        'data-text': text,
        onclick: () => view.select(start, end),
      },
      svg('title', {}, text),
    );
    const words =
      width > 8 * (name?.length ?? 99)
        ? svg('text', { x: left + width / 2, y: 28, class: 'name' }, name)
        : null;
    return svg('g', {}, shape, words);
  });
  const edges = [low, high].map((address, index) =>
    svg('text', { x: index * WIDTH, y: 62, class: index ? 'edge end' : 'edge' }, hex(address)),
  );
  return svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} 66`, role: 'img', 'aria-label': label, class: 'line' },
    ...shapes,
    ...edges,
  );
}

/** What is built when it is opened. */
export function details(summary, build) {
  const element = el('details', {}, el('summary', {}, summary));
  element.addEventListener('toggle', () => {
    if (element.open && element.children.length === 1) element.append(build());
  });
  element.build = () => {
    if (element.children.length === 1) element.append(build());
  };
  return element;
}
