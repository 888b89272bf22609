import { expect, test } from 'vitest';
import { AllowedOrigins } from './allowed-origins.js';

const allowed = new AllowedOrigins(['https://console.example']);

test.each([
  ['a program, which sends none', undefined, 'api.example'],
  ['a listed one', 'https://console.example', 'api.example'],
  ['the host itself', 'https://api.example', 'api.example'],
  ['the host itself, with its port', 'http://127.0.0.1:8080', '127.0.0.1:8080'],
])('is allowed: %s', (_, origin, host) => {
  expect(allowed.allows({ host, ...(origin === undefined ? {} : { origin }) })).toBe(true);
});

test.each([
  ['another host', 'https://evil.example'],
  ['a host whose name contains a listed one', 'https://console.example.evil.example'],
  ['a listed host with another scheme', 'http://console.example'],
  ['a listed host with another port', 'https://console.example:8443'],
  ['the host itself with another port', 'https://api.example:8443'],
  ['a page without an origin', 'null'],
  ['what is no origin', 'api.example'],
])('is refused: %s', (_, origin) => {
  expect(allowed.allows({ host: 'api.example', origin })).toBe(false);
});

test('a star allows all', () => {
  expect(new AllowedOrigins(['*']).allows({ host: 'api.example', origin: 'https://evil.example' })).toBe(true);
});
