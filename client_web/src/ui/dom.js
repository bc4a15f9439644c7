// A small way to write elements down.

/** @typedef {{ [name: string]: string | number | boolean | ((event: Event) => void) | undefined }} Attributes */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes]
 *   functions are listeners ("onclick"), true is an empty attribute, false and undefined are left out
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Give an element attributes and listeners, as `element` does. @param {HTMLElement} made @param {Attributes} attributes */
export function setAttributes(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== undefined) made.setAttribute(name, String(value));
  }
}

/** Shapes of the icons, stroked on a 24 x 24 grid. */
const ICONS = {
  microphone: 'M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM6 11v1a6 6 0 0 0 12 0v-1M12 18v3M9 21h6',
  camera: 'M4 7h9a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2zM15 11l6-3v8l-6-3',
  splats: 'M8 7a4 2.5 30 1 0 .1 0zM17 8a2 3.5 15 1 0 .1 0zM11 15a5 2.2 -12 1 0 .1 0z',
  picture: 'M12 4v10M8 10l4 4 4-4M5 18h14',
  stats: 'M5 20V12M12 20V4M19 20v-6',
  link: 'M10 14a4 4 0 0 0 6 .5l2.5-2.5a4 4 0 0 0-5.6-5.6L11.500 7.800M14 10a4 4 0 0 0-6-.5L5.500 12a4 4 0 0 0 5.600 5.600L12.500 16.200',
  leave: 'M3 13c5-5 13-5 18 0l-2.500 2.500-3.500-1.700v-2.300c-2-.7-4-.7-6 0v2.300l-3.500 1.700z',
};

/** @param {keyof typeof ICONS} name @returns {SVGSVGElement} */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}
