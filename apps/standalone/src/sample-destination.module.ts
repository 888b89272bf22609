import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { SampleDestinationController, sampleDestinationSecret } from './sample-destination.controller.js';

@Module({ controllers: [SampleDestinationController] })
export class SampleDestinationModule {
  static register(secret: string): DynamicModule {
    return { module: SampleDestinationModule, providers: [{ provide: sampleDestinationSecret, useValue: secret }] };
  }
}
