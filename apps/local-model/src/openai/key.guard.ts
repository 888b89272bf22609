import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { Doors } from '#libs/service';
import type { DoorResponse, Guard } from '#libs/service';
import { ApiError } from './api.errors.js';
import { CompletionService } from './completion.service.js';
import { localModelBasePath } from './completions.controller.js';

/** Checks the key of a request before its body is read. */
@Injectable()
export class KeyGuard implements Guard {
  readonly path = `${localModelBasePath}/` as const;

  constructor(
    private readonly completions: CompletionService,
    doors: Doors,
  ) {
    doors.guard(this);
  }

  async refusal({ headers }: IncomingMessage): Promise<DoorResponse | undefined> {
    try {
      this.completions.requireKey(headers.authorization);
      return undefined;
    } catch (error) {
      if (error instanceof ApiError) return { status: error.status, headers: error.headers, body: error.body };
      throw error;
    }
  }
}
