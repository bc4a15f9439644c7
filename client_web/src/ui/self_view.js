// One's own small picture in the corner of a call, mirrored as people are used to.

import { element } from './dom.js';

export class SelfView {
  constructor() {
    this.video = element('video', { autoplay: true, playsinline: true, 'aria-label': 'Your camera' });
    this.video.muted = true;
    this.root = element('div', { class: 'self-view', hidden: true }, this.video);
  }

  /** @param {MediaStreamTrack | null} camera */
  show(camera) {
    this.root.hidden = camera === null;
    this.video.srcObject = camera ? new MediaStream([camera]) : null;
  }
}
