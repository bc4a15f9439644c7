// The server's clock as seen from here: the offset of the ping with the shortest way there and back.

const KEPT_PINGS = 12;

export class ClockSync {
  constructor() {
    /** @type {{ rttMs: number, offsetMs: number }[]} */
    this.pings = [];
  }

  /**
   * Take an answer to a ping.
   * @param {number} sentMs our clock @param {number} serverMs the server's @param {number} nowMs our clock
   */
  push(sentMs, serverMs, nowMs) {
    const rttMs = nowMs - sentMs;
    if (!(rttMs >= 0) || !Number.isFinite(serverMs)) return;
    this.pings.push({ rttMs, offsetMs: serverMs - (sentMs + nowMs) / 2 });
    if (this.pings.length > KEPT_PINGS) this.pings.shift();
  }

  /** @returns {{ rttMs: number, offsetMs: number } | null} the best of the last pings */
  best() {
    let best = null;
    for (const ping of this.pings) if (!best || ping.rttMs < best.rttMs) best = ping;
    return best;
  }
}
