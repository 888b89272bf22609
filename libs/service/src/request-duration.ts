import { histogram } from '#libs/tracing';

const duration = histogram('millrace_http_request_duration_seconds', 'Duration of HTTP requests, by route.', {
  service: 'the service',
  method: 'the HTTP method, or `none`',
  route: 'the route, such as `/webhooks/:address`, or `none`',
  status: 'the HTTP status',
});

export function observeRequest(service: string, method: string, route: string, status: number, durationMs: number): void {
  duration.observe({ service, method, route, status }, durationMs / 1_000);
}
