// What a reader has opened, and where the focus is: both stay while the layers are drawn anew.

const BOXES = '#program, #heap, #areas, #pages, #way';

function name_of(details) {
  return details.querySelector('summary').textContent;
}

/** Draws, opens the tables again that were open, and puts the focus back to where it was. */
export function keep(draw) {
  const open = [...document.querySelectorAll('main details[open]')].map(name_of);
  const { tagName: tag, textContent: text } = document.activeElement ?? document.body;
  const box = document.activeElement?.closest(BOXES);
  draw();
  for (const details of document.querySelectorAll('main details')) {
    if (!open.includes(name_of(details))) continue;
    details.build();
    details.open = true;
  }
  if (!box) return;
  const alike = [...box.querySelectorAll(tag)];
  const next = alike.find(({ textContent }) => textContent === text) ?? alike[0];
  next?.focus({ preventScroll: true });
}
