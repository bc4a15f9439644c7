// Banners at the top of the page: what is wrong, until it is not, and short words that go by themselves.

import { element } from './dom.js';

const TOAST_MS = 3500;

export class Notices {
  constructor() {
    this.root = element('div', { class: 'notices', role: 'status', 'aria-live': 'polite' });
    /** @type {Map<string, HTMLElement>} */
    this.shown = new Map();
  }

  /**
   * Show a banner until it is taken back.
   * @param {string} key one banner a key @param {string} text
   * @param {{ label: string, act: () => void }} [button]
   */
  show(key, text, button) {
    this.hide(key);
    const banner = element('div', { class: 'notice', 'data-notice': key }, element('span', {}, text));
    if (button) banner.append(element('button', { type: 'button', class: 'small', onclick: button.act }, button.label));
    banner.append(element('button', { type: 'button', class: 'close', 'aria-label': 'Dismiss', onclick: () => this.hide(key) }, '×'));
    this.shown.set(key, banner);
    this.root.append(banner);
  }

  /** @param {string} key */
  hide(key) {
    this.shown.get(key)?.remove();
    this.shown.delete(key);
  }

  /** @param {string} text */
  toast(text) {
    this.show('toast', text);
    const banner = this.shown.get('toast');
    setTimeout(() => { if (this.shown.get('toast') === banner) this.hide('toast'); }, TOAST_MS);
  }
}
