/** `pods/log`: text from the kubelet of the pod's node, passed on as it comes. */
import type { LogOptions } from '../../kubelet/messages.js';
import { KubeletSession } from '../kubelet-session.js';
import type { ApiResponse, ApiStream, StreamSink } from '../request.js';
import type { RequestContext } from '../server-context.js';
import { invalid, type StatusCause } from '../status.js';
import { targetOf } from './session.js';

const headers = { 'content-type': 'text/plain' };

export async function readLog(context: RequestContext): Promise<ApiResponse> {
  const options = logOptions(context.info.query, context.info.name);
  const { node, selector } = await targetOf(context);
  if (node === '') return { status: 200, headers, body: new Uint8Array() };
  const stream = new LogStream(context, node, { type: 'KubeletLogs', target: selector, options });
  await stream.opened;
  return { status: 200, headers, body: stream };
}

/** Collects what comes before the consumer starts; bounded by the session's credit. */
class LogStream implements ApiStream {
  readonly opened: Promise<void>;
  readonly #session: KubeletSession;
  #sink: StreamSink | undefined;
  #early: Uint8Array[] = [];
  #ended = false;

  constructor(
    context: RequestContext,
    node: string,
    request: ConstructorParameters<typeof KubeletSession>[2],
  ) {
    this.#session = new KubeletSession(context.server, node, request, {
      output: (_stream, bytes) => this.#output(bytes),
      ended: (_exitCode, error) => {
        if (error) this.#output(Buffer.from(`\n${error.message}\n`));
        this.#ended = true;
        this.#sink?.end();
      },
      bufferedBytes: () => this.#sink?.bufferedBytes() ?? Infinity,
    });
    this.opened = this.#session.opened;
  }

  start(sink: StreamSink): void {
    this.#sink = sink;
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) sink.chunk(bytes);
    if (this.#ended) sink.end();
  }

  cancel(): void {
    this.#sink = undefined;
    this.#session.cancel();
  }

  #output(bytes: Uint8Array): void {
    if (this.#sink) this.#sink.chunk(bytes);
    else this.#early.push(bytes);
  }
}

function logOptions(query: URLSearchParams, name: string): LogOptions {
  const causes: StatusCause[] = [];
  const whole = (parameter: string, min: number): number | undefined => {
    const text = query.get(parameter);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (Number.isInteger(value) && value >= min) return value;
    causes.push({
      reason: 'FieldValueInvalid',
      field: parameter,
      message: `Invalid value: ${JSON.stringify(text)}: must be greater than or equal to ${min}`,
    });
    return undefined;
  };
  const flag = (parameter: string) => query.get(parameter) === 'true' || query.get(parameter) === '1';
  const tailLines = whole('tailLines', 0);
  const sinceSeconds = whole('sinceSeconds', 1);
  const limitBytes = whole('limitBytes', 1);
  const sinceTime = query.get('sinceTime') ?? '';
  if (sinceTime !== '' && Number.isNaN(Date.parse(sinceTime))) {
    causes.push({
      reason: 'FieldValueInvalid',
      field: 'sinceTime',
      message: `Invalid value: ${JSON.stringify(sinceTime)}: must be an RFC 3339 time`,
    });
  }
  if (sinceTime !== '' && sinceSeconds !== undefined) {
    causes.push({
      reason: 'FieldValueForbidden',
      field: 'sinceTime',
      message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    });
  }
  if (causes.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, name, causes);
  return {
    ...(flag('follow') && { follow: true }),
    ...(flag('previous') && { previous: true }),
    ...(flag('timestamps') && { timestamps: true }),
    ...(tailLines !== undefined && { tailLines }),
    ...(sinceSeconds !== undefined && { sinceSeconds }),
    ...(limitBytes !== undefined && { limitBytes }),
    ...(sinceTime !== '' && { sinceTime }),
  };
}
