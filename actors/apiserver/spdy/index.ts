/** SPDY/3.1 for the streams of Kubernetes clients. */
export { type ByteCarrier, SpdyConnection, type SpdyEvents, SpdyStream } from './connection.js';
export { SpdyError } from './frames.js';
