// Camera and microphone: what the browser lets us have, with the reason in plain words where it does not.

/**
 * @typedef {object} Devices
 * @property {MediaStreamTrack | null} camera
 * @property {MediaStreamTrack | null} microphone
 * @property {Problem | null} cameraProblem
 * @property {Problem | null} microphoneProblem
 */

/** @typedef {'refused' | 'none' | 'busy' | 'insecure' | 'failed'} Problem */

/** @type {MediaTrackConstraints} */
const CAMERA = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30, max: 30 } };
/** @type {MediaTrackConstraints} */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** @param {unknown} error @returns {Problem} */
export function problemOf(error) {
  const name = error instanceof Error ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'refused';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'none';
  if (name === 'NotReadableError' || name === 'AbortError') return 'busy';
  return 'failed';
}

/** @param {MediaStreamConstraints} constraints @returns {Promise<MediaStreamTrack>} */
async function firstTrack(constraints) {
  const stream = await navigator.mediaDevices.getUserMedia(constraints);
  return stream.getTracks()[0];
}

/** @param {string} [deviceId] @returns {Promise<MediaStreamTrack>} */
export function openCamera(deviceId) {
  return firstTrack({ video: deviceId ? { ...CAMERA, deviceId: { exact: deviceId } } : CAMERA });
}

/** @param {string} [deviceId] @returns {Promise<MediaStreamTrack>} */
export function openMicrophone(deviceId) {
  return firstTrack({ audio: deviceId ? { ...MICROPHONE, deviceId: { exact: deviceId } } : MICROPHONE });
}

/**
 * Camera and microphone, each if it can be had: one question for both, then each alone.
 * @returns {Promise<Devices>}
 */
export async function openDevices() {
  if (!navigator.mediaDevices) {
    return { camera: null, microphone: null, cameraProblem: 'insecure', microphoneProblem: 'insecure' };
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: CAMERA, audio: MICROPHONE });
    const camera = stream.getVideoTracks()[0] ?? null;
    const microphone = stream.getAudioTracks()[0] ?? null;
    return { camera, microphone, cameraProblem: camera ? null : 'none', microphoneProblem: microphone ? null : 'none' };
  } catch {
    const camera = await openOne(openCamera);
    const microphone = await openOne(openMicrophone);
    return { camera: camera.track, microphone: microphone.track, cameraProblem: camera.problem, microphoneProblem: microphone.problem };
  }
}

/** @param {() => Promise<MediaStreamTrack>} open @returns {Promise<{ track: MediaStreamTrack | null, problem: Problem | null }>} */
async function openOne(open) {
  try {
    return { track: await open(), problem: null };
  } catch (error) {
    return { track: null, problem: problemOf(error) };
  }
}

/** @returns {Promise<{ cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[] }>} */
export async function listDevices() {
  const devices = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices() : [];
  return {
    cameras: devices.filter(({ kind }) => kind === 'videoinput'),
    microphones: devices.filter(({ kind }) => kind === 'audioinput'),
  };
}
