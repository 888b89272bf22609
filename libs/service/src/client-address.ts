import type { IncomingMessage } from 'node:http';
import { AddressList } from '#libs/ports';

/** The caller of a request, as far as proxies that are trusted name it. */
export interface RequestOrigin {
  /** The address of the caller; empty if the connection is closed already. */
  readonly clientAddress: string;
  /** True if the request came through a trusted proxy, whose headers about the caller can be believed. */
  readonly isProxied: boolean;
}

/** Reads the caller's address: the peer's, or, where the peer is a trusted proxy, the last one in `X-Forwarded-For` that is none. */
export class ClientAddresses {
  private readonly proxies: AddressList;

  /** @param trustedProxies addresses and ranges. @throws Error that names an entry which is neither */
  constructor(trustedProxies: readonly string[]) {
    this.proxies = new AddressList(trustedProxies);
  }

  of({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): RequestOrigin {
    const peer = socket.remoteAddress ?? '';
    if (!this.proxies.has(peer)) return { clientAddress: peer, isProxied: false };
    // Each proxy adds the address of its own peer at the end; what stands before is the caller's word.
    const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
    const clientAddress = forwarded
      .map((address) => address.trim())
      .filter((address) => address !== '')
      .findLast((address) => !this.proxies.has(address));
    return { clientAddress: clientAddress ?? peer, isProxied: true };
  }
}
