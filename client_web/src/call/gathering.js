// When enough ICE candidates are there to send an offer with them.

/** All candidates, at the latest. */
export const GATHERING_LIMIT_MS = 2000;
/** This machine's own addresses come together; Chromium then spends 100 ms on kinds that nobody asked for. */
export const OWN_ADDRESSES_MS = 20;

/**
 * Wait for candidates: for all of them where servers are asked, else until this machine's own have come. One that comes
 * later is no loss, since the other side learns it from the first packet that is sent from there.
 * @param {RTCPeerConnection} pc
 * @returns {Promise<void>}
 */
export function gathered(pc) {
  if (pc.iceGatheringState === 'complete') return Promise.resolve();
  const asksServers = (pc.getConfiguration().iceServers ?? []).length > 0;
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      pc.removeEventListener('icegatheringstatechange', stateChanged);
      pc.removeEventListener('icecandidate', candidateCame);
      resolve();
    };
    const stateChanged = () => {
      if (pc.iceGatheringState === 'complete') done();
    };
    /** @param {RTCPeerConnectionIceEvent} event */
    const candidateCame = ({ candidate }) => {
      if (asksServers || !candidate) return;
      clearTimeout(timer);
      timer = setTimeout(done, OWN_ADDRESSES_MS);
    };
    let timer = setTimeout(done, GATHERING_LIMIT_MS);
    pc.addEventListener('icegatheringstatechange', stateChanged);
    pc.addEventListener('icecandidate', candidateCame);
  });
}
