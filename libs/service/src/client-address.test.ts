import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { ClientAddresses } from './client-address.js';

const addresses = new ClientAddresses(['10.0.0.0/8', '::1']);
const of = (peer: string | undefined, forwarded?: string) =>
  addresses.of({ socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': forwarded } } as unknown as IncomingMessage);

test('the peer is the caller, whatever it says of others', () => {
  expect(of('192.0.2.1', '198.51.100.7')).toEqual({ clientAddress: '192.0.2.1', isProxied: false });
  expect(of(undefined)).toEqual({ clientAddress: '', isProxied: false });
});

test('behind trusted proxies the caller is the last address that is none of them', () => {
  expect(of('10.0.0.1', '198.51.100.7')).toEqual({ clientAddress: '198.51.100.7', isProxied: true });
  expect(of('::ffff:10.0.0.1', '6.6.6.6, 198.51.100.7 , 10.2.0.1')).toEqual({ clientAddress: '198.51.100.7', isProxied: true });
  expect(of('::1', '6.6.6.6, not an address')).toEqual({ clientAddress: 'not an address', isProxied: true });
});

test('a proxy that names nobody is the caller itself', () => {
  expect(of('10.0.0.1')).toEqual({ clientAddress: '10.0.0.1', isProxied: true });
  expect(of('10.0.0.1', '10.0.0.2, ,')).toEqual({ clientAddress: '10.0.0.1', isProxied: true });
});

test('an entry that is no address stops the start', () => {
  expect(() => new ClientAddresses(['proxy.example'])).toThrow('proxy.example is no IP address');
});
