import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { SampleDestinationController, sampleDestinationAccess } from './sample-destination.controller.js';

@Module({ controllers: [SampleDestinationController] })
export class SampleDestinationModule {
  /** @param key the bearer key of those who may see what it got; undefined: everybody may */
  static register(secret: string, key?: string): DynamicModule {
    return { module: SampleDestinationModule, providers: [{ provide: sampleDestinationAccess, useValue: { secret, key } }] };
  }
}
