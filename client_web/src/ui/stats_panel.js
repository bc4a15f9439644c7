// The panel of figures, one column for each participant.

import { element } from './dom.js';

/** @typedef {import('../worker/messages.js').StreamStats} StreamStats */

/** @typedef {StreamStats & { name: string, transport: string }} ParticipantFigures */

/** @param {number} value @param {number} [digits] @returns {string} */
function fixed(value, digits = 0) {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

/** @type {[string, (figures: ParticipantFigures) => string][]} */
const ROWS = [
  ['Picture', ({ width, height }) => (width ? `${width} × ${height}` : '–')],
  ['Pictures a second', ({ fps }) => fixed(fps, 1)],
  ['kbit/s', ({ kbps }) => fixed(kbps, 1)],
  ['Splats', ({ splats }) => fixed(splats)],
  ['Changed splats', ({ changed }) => fixed(changed)],
  ['Encode ms', ({ encode_ms }) => fixed(encode_ms, 1)],
  ['Decode ms', ({ decode_ms }) => fixed(decode_ms, 2)],
  ['Delay ms, end to end', ({ delay_ms }) => (delay_ms === null ? '–' : fixed(delay_ms))],
  ['Frames', ({ frames }) => fixed(frames)],
  ['Frames dropped', ({ dropped }) => fixed(dropped)],
  ['Gaps', ({ gaps }) => fixed(gaps)],
  ['Patches', ({ patches }) => fixed(patches)],
  ['Wrong hashes', ({ hash_bad }) => fixed(hash_bad)],
  ['Way', ({ transport }) => (transport === 'rtp' ? 'RTP' : 'data channel')],
];

export class StatsPanel {
  constructor() {
    this.body = element('div', { class: 'stats-body' });
    this.root = element('aside', { class: 'stats-panel', 'aria-label': 'Statistics', hidden: true }, element('h2', {}, 'Statistics'), this.body);
  }

  /** @returns {boolean} whether it is open now */
  toggle() {
    this.root.hidden = !this.root.hidden;
    return !this.root.hidden;
  }

  /** @param {number | null} joinMs @param {ParticipantFigures[]} participants */
  update(joinMs, participants) {
    if (this.root.hidden) return;
    const join = element('p', { class: 'join-time' }, joinMs === null ? 'No picture yet' : `First picture ${fixed(joinMs)} ms after joining`);
    this.body.replaceChildren(join, ...participants.map(figuresTable));
  }
}

/** @param {ParticipantFigures} figures @returns {HTMLElement} */
function figuresTable(figures) {
  const rows = ROWS.map(([label, value]) => row(label, value(figures)));
  const stages = Object.entries(figures.stages).map(([name, ms]) => row(name, fixed(ms, 1), 'part'));
  rows.splice(6, 0, ...stages);
  return element('table', {}, element('caption', {}, figures.name), element('tbody', {}, ...rows));
}

/** @param {string} label @param {string} value @param {string} [kind] @returns {HTMLElement} */
function row(label, value, kind) {
  return element('tr', kind ? { class: kind } : {}, element('th', { scope: 'row' }, label), element('td', {}, value));
}
