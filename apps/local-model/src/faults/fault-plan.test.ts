import { beforeEach, describe, expect, it } from 'vitest';
import { FaultPlan } from './fault-plan.js';
import { faultRule } from './fault.js';

const request = { model: 'local/rules-1', inputs: ['My order is late', 'really'] };
const rule = (given: object) => faultRule.parse(given);

describe('a fault plan', () => {
  let plan: FaultPlan;
  beforeEach(() => {
    plan = new FaultPlan();
  });

  it('strikes nobody while it is empty', () => {
    expect(plan.take(request)).toBeUndefined();
  });

  it('strikes as often as it says, then no more', () => {
    plan.add([rule({ fault: 'hang', times: 2 })]);
    expect([plan.take(request)?.fault, plan.take(request)?.fault, plan.take(request)?.fault]).toEqual(['hang', 'hang', undefined]);
    expect(plan.remaining).toEqual([]);
  });

  it('strikes until it is cleared where it gives no number', () => {
    plan.add([rule({ fault: 'hang' })]);
    for (let time = 0; time < 100; time += 1) expect(plan.take(request)?.fault).toBe('hang');
    plan.clear();
    expect(plan.take(request)).toBeUndefined();
  });

  it('strikes only what it is aimed at', () => {
    plan.add([rule({ fault: 'hang', match: { contains: 'refund' } }), rule({ fault: 'brokenJson', match: { model: 'other' } })]);
    expect(plan.take(request)).toBeUndefined();
    expect(plan.take({ ...request, inputs: ['a refund please'] })?.fault).toBe('hang');
    expect(plan.take({ ...request, model: 'other' })?.fault).toBe('brokenJson');
  });

  it('goes through its rules in order', () => {
    plan.add([rule({ fault: 'status', status: 500, times: 1 }), rule({ fault: 'status', status: 429, times: 1 })]);
    plan.add([rule({ fault: 'hang', times: 1 })]);
    expect([plan.take(request), plan.take(request), plan.take(request)]).toMatchObject([
      { status: 500 },
      { status: 429 },
      { fault: 'hang' },
    ]);
  });

  it('shows how many times are left', () => {
    plan.add([rule({ fault: 'hang', times: 3 })]);
    plan.take(request);
    expect(plan.remaining).toMatchObject([{ fault: 'hang', times: 2 }]);
  });
});

describe('a rule', () => {
  it.each([
    [{ fault: 'explode' }],
    [{ fault: 'status' }],
    [{ fault: 'status', status: 200 }],
    [{ fault: 'delay' }],
    [{ fault: 'hang', times: 0 }],
    [{ fault: 'hang', match: { contain: 'typo' } }],
    [{ fault: 'hang', delayMs: 5 }],
  ])('is refused where it makes no sense: %j', (given) => {
    expect(faultRule.safeParse(given).success).toBe(false);
  });
});
