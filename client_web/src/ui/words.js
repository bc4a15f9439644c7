// What the page says, in plain words.

/** @typedef {import('../call/devices.js').Problem} Problem */

/** @type {{ [problem in Problem]: string }} */
const CAMERA_WORDS = {
  refused: 'The browser was told not to share your camera. Allow it in the address bar to be seen; you can join without it.',
  none: 'No camera was found. You can join without one: you will see and hear the others.',
  busy: 'Another program is using your camera. Close it and pick the camera again, or join without it.',
  insecure: 'Browsers share cameras with secure pages only. Open this page over https, or on localhost.',
  failed: 'The camera did not start. Pick another one, or join without it.',
};

/** @type {{ [problem in Problem]: string }} */
const MICROPHONE_WORDS = {
  refused: 'The browser was told not to share your microphone. The others will not hear you.',
  none: 'No microphone was found. The others will not hear you.',
  busy: 'Another program is using your microphone. The others will not hear you.',
  insecure: 'Browsers share microphones with secure pages only.',
  failed: 'The microphone did not start. The others will not hear you.',
};

/** @param {Problem} problem @returns {string} */
export function cameraWords(problem) {
  return CAMERA_WORDS[problem];
}

/** @param {Problem} problem @returns {string} */
export function microphoneWords(problem) {
  return MICROPHONE_WORDS[problem];
}

export const WORDS = {
  noWebgl: 'This browser cannot draw the pictures: WebGL2 with float textures is missing. Sound still works. '
    + 'Switch on hardware acceleration, or try another browser.',
  soundBlocked: 'The browser is waiting for a click before it plays sound.',
  hear: 'Click to hear',
  reconnecting: 'The connection broke. Reconnecting…',
  gone: 'The server cannot be reached. Still trying; the call goes on when it is back.',
  refused: 'The server did not let this page in',
  left: 'You left the call.',
  alone: 'Nobody else is here yet. Send somebody the link.',
  copied: 'The link is copied.',
  notCopied: 'The link could not be copied; it is in the address bar.',
  noPicture: 'There is no picture to save yet.',
  saved: 'The picture is saved.',
};
