// The participants' tiles: a canvas for who sends a picture, initials for who does not, and one's own preview.

import { element, setAttributes } from './dom.js';

/** @typedef {import('../call/call.js').RemoteParticipant} RemoteParticipant */

/** Shape of a tile before its picture's own is known. */
const USUAL_ASPECT = 16 / 9;
const GAP_PX = 12;

/**
 * @typedef {object} Tile
 * @property {HTMLElement} root
 * @property {HTMLElement} frame
 * @property {HTMLCanvasElement | null} canvas
 * @property {number} aspect
 * @property {HTMLElement} label
 * @property {HTMLElement} avatar
 */

export class Tiles {
  /**
   * @param {(id: string) => HTMLCanvasElement | null} attach gives the canvas with a participant's picture
   * @param {(id: string, widthPx: number) => void} setTile device px
   */
  constructor(attach, setTile) {
    this.attach = attach;
    this.setTile = setTile;
    /** @type {Map<string, Tile>} */
    this.tiles = new Map();
    this.empty = element('p', { class: 'empty' });
    this.root = element('section', { class: 'tiles', 'aria-label': 'Participants' }, this.empty);
    new ResizeObserver(() => this.layOut()).observe(this.root);
  }

  /** Follow who is here. @param {Iterable<RemoteParticipant>} participants @param {string} emptyText */
  update(participants, emptyText) {
    const present = new Map([...participants].map((participant) => [participant.info.id, participant]));
    for (const [id, tile] of this.tiles) {
      if (present.has(id)) continue;
      tile.root.remove();
      this.tiles.delete(id);
    }
    for (const participant of present.values()) this.updateTile(participant);
    this.empty.textContent = emptyText;
    this.empty.hidden = present.size > 0;
    this.layOut();
  }

  /** Forget all pictures: the next update makes new canvases. */
  clear() {
    for (const tile of this.tiles.values()) tile.root.remove();
    this.tiles.clear();
  }

  /** @param {RemoteParticipant} participant */
  updateTile({ info, width, height }) {
    const tile = this.tiles.get(info.id) ?? this.makeTile(info.id);
    tile.label.textContent = info.audio ? info.name : `${info.name} · muted`;
    tile.avatar.textContent = initials(info.name);
    if (info.video && !tile.canvas) {
      tile.canvas = this.attach(info.id);
      if (tile.canvas) {
        setAttributes(tile.canvas, { 'data-testid': 'remote-canvas', 'data-participant': info.id, role: 'img',
          'aria-label': `Picture of ${info.name}` });
        tile.frame.append(tile.canvas);
      }
    } else if (!info.video && tile.canvas) {
      tile.canvas.remove();
      tile.canvas = null;
    }
    tile.root.classList.toggle('has-picture', info.video && width > 0);
    tile.aspect = width > 0 ? width / height : USUAL_ASPECT;
  }

  /** @param {string} id @returns {Tile} */
  makeTile(id) {
    const label = element('span', { class: 'label' });
    const avatar = element('div', { class: 'avatar', 'aria-hidden': 'true' });
    const frame = element('div', { class: 'frame' }, avatar);
    const root = element('article', { class: 'tile', 'data-tile': id }, frame, label);
    const tile = { root, frame, canvas: null, aspect: USUAL_ASPECT, label, avatar };
    this.tiles.set(id, tile);
    this.root.append(root);
    return tile;
  }

  /** Give every tile its place, and each picture its own shape inside it. */
  layOut() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const count = this.tiles.size;
    if (count === 0 || width === 0 || height === 0) return;
    const columns = bestColumns(count, width, height);
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - GAP_PX * (columns - 1)) / columns;
    const cellHeight = (height - GAP_PX * (rows - 1)) / rows;
    this.root.style.setProperty('--columns', String(columns));
    for (const [id, tile] of this.tiles) {
      const pictureWidth = Math.floor(Math.min(cellWidth, cellHeight * tile.aspect));
      tile.root.style.width = `${pictureWidth}px`;
      tile.root.style.height = `${Math.round(pictureWidth / tile.aspect)}px`;
      if (tile.canvas) this.setTile(id, Math.round(pictureWidth * devicePixelRatio));
    }
  }
}

/** Columns that give usual pictures the most room. @param {number} count @param {number} width @param {number} height @returns {number} */
export function bestColumns(count, width, height) {
  let best = 1;
  let bestWidth = 0;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - GAP_PX * (columns - 1)) / columns;
    const cellHeight = (height - GAP_PX * (rows - 1)) / rows;
    const pictureWidth = Math.min(cellWidth, cellHeight * USUAL_ASPECT);
    if (pictureWidth > bestWidth) [best, bestWidth] = [columns, pictureWidth];
  }
  return best;
}

/** @param {string} name @returns {string} one or two letters */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0] ?? ''];
  return letters.map((word) => [...word][0] ?? '').join('').toUpperCase();
}
