// The row of buttons under a call.

import { element, icon } from './dom.js';

/**
 * @typedef {object} ToolbarActions
 * @property {() => void} microphone
 * @property {() => void} camera
 * @property {() => void} splats
 * @property {() => void} picture
 * @property {() => void} stats
 * @property {() => void} link
 * @property {() => void} leave
 */

/** @typedef {keyof ToolbarActions} Action */

/** @type {[Action, string, string | null][]} name, what it says, key */
const BUTTONS = [
  ['microphone', 'Mute', 'm'],
  ['camera', 'Camera off', 'c'],
  ['splats', 'Show splats', 's'],
  ['picture', 'Save picture', null],
  ['stats', 'Statistics', 'i'],
  ['link', 'Copy link', null],
  ['leave', 'Leave', null],
];

export class Toolbar {
  /** @param {ToolbarActions} actions */
  constructor(actions) {
    /** @type {Map<Action, HTMLButtonElement>} */
    this.buttons = new Map();
    this.root = element('nav', { class: 'toolbar', 'aria-label': 'Call controls' });
    for (const [name, words, key] of BUTTONS) {
      const button = element('button', { type: 'button', class: name, 'data-testid': `button-${name}`, onclick: () => actions[name](),
        title: key ? `${words} (${key.toUpperCase()})` : words },
      icon(name), element('span', {}, words));
      this.buttons.set(name, button);
      this.root.append(button);
    }
    document.addEventListener('keydown', (event) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const found = BUTTONS.find(([, , key]) => key === event.key.toLowerCase());
      if (found && this.root.isConnected && !this.buttons.get(found[0])?.disabled) actions[found[0]]();
    });
  }

  /**
   * Show whether something is on.
   * @param {Action} name @param {boolean} on pressed @param {string} [words]
   */
  set(name, on, words) {
    const button = this.buttons.get(name);
    if (!button) return;
    button.setAttribute('aria-pressed', String(on));
    const label = button.querySelector('span');
    if (words && label) label.textContent = words;
  }

  /** @param {Action} name @param {boolean} possible */
  enable(name, possible) {
    const button = this.buttons.get(name);
    if (button) button.disabled = !possible;
  }
}
