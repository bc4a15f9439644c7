// Signalling messages of protocol 1 (types only): JSON text over the WebSocket.

/** @typedef {{ id: string, name: string, stream: number, audio: boolean, video: boolean }} ParticipantInfo */

/**
 * Page to server.
 * @typedef {{ type: 'join', protocol: 1, room: string, name: string, token?: string, resume?: string,
 *     transport: 'auto' | 'rtp' | 'data', audio: boolean, video: boolean }
 *   | { type: 'offer', sdp: string }
 *   | { type: 'clock', t0: number }
 *   | { type: 'media', audio: boolean, video: boolean }
 *   | { type: 'transport', use: 'data' }
 *   | { type: 'leave' }} ClientMessage
 */

/** @typedef {{ type: 'joined', protocol: 1, id: string, room: string, resume: string, audio_lines: number,
 *   transport: 'rtp' | 'data', participants: ParticipantInfo[], ice_servers?: string[] }} Joined */

/**
 * Server to page.
 * @typedef {Joined
 *   | { type: 'answer', sdp: string }
 *   | { type: 'clock', t0: number, t1: number }
 *   | { type: 'participant-joined' | 'participant-changed', participant: ParticipantInfo }
 *   | { type: 'participant-left', id: string }
 *   | { type: 'audio-lines', lines: (string | null)[] }
 *   | { type: 'error', code: string, message: string, expected?: string, got?: string }} ServerMessage
 */

export const PROTOCOL = 1;
