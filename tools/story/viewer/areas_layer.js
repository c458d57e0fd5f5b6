// The third layer: the areas of a process, and where its break is.

import { bytes, count, hex, permissions } from './words.js';
import { PAGE } from './reduce.js';
import { area_text } from './explain.js';
import { el, svg, table } from './dom.js';
import { details, WIDTH } from './drawing.js';

export function areas_layer(view) {
  const { space, changed } = view;
  const areas = space?.areas ?? [];
  if (areas.length === 0) return [el('p', { class: 'none' }, 'No areas are known here.')];
  const weights = areas.map(({ start, end }) => 4 + Math.log2((end - start) / PAGE + 1));
  const gap = 1.5;
  const unit = WIDTH / (weights.reduce((sum, weight) => sum + weight, 0) + gap * areas.length);
  let x = 0;
  const shapes = areas.map((area, index) => {
    const width = weights[index] * unit;
    const is_heap = is_break_area(view, area);
    const mark = (changed.areas && is_heap) || changed.touches(area.start, area.end);
    const text = area_text(area);
    const kind = area.bits & 4 ? 'text' : area.bits & 2 ? 'data' : 'constant';
    const group = svg(
      'g',
      {},
      svg(
        'rect',
        {
          x,
          y: 4,
          width,
          height: 40,
          class: `area ${kind}${mark ? ' changed' : ''}`,
          'data-text': text,
          onclick: () => view.select(area.start, area.end),
        },
        svg('title', {}, text),
      ),
      svg(
        'text',
        { x: x + width / 2, y: 28, class: 'name' },
        width > 9 * area.name.length ? area.name : '',
      ),
      is_heap
        ? svg('path', {
            d: `M${x + width} 0v48m-5 0h10`,
            class: changed.areas ? 'break changed' : 'break',
          })
        : null,
    );
    x += width + gap * unit;
    return group;
  });
  const brk = break_of(view);
  const words = `${count(areas.length, 'area')}${brk ? `, the break at ${hex(brk)}` : ''}`;
  return [
    el('p', {}, `${words}.`),
    svg(
      'svg',
      { viewBox: `0 0 ${WIDTH} 52`, role: 'img', 'aria-label': `Areas: ${words}`, class: 'line' },
      ...shapes,
    ),
    details('Areas as a table', () =>
      table(
        'Areas, from low to high',
        ['From', 'To', 'Length', 'May', 'Name'],
        areas.map((area) => ({
          cells: [
            view.link(area.start, area.end),
            hex(area.end),
            bytes(area.end - area.start),
            permissions(area.bits) + (area.shared ? 's' : 'p'),
            area.name,
          ],
          mark: changed.touches(area.start, area.end),
        })),
      ),
    ),
  ];
}

function is_break_area(view, area) {
  if (view.pid !== 0) return area.name === '[heap]';
  return (
    view.state.breaks.has(area.name) &&
    (area.start === view.heap_id || (area.start <= view.focus && view.focus < area.end))
  );
}

function break_of(view) {
  if (view.pid !== 0) return view.space?.brk ?? 0;
  const is_meant = ({ start, end }) =>
    start === view.heap_id || (start <= view.focus && view.focus <= end);
  const latest = [...view.state.breaks.values()].find(is_meant);
  return latest?.end ?? 0;
}
