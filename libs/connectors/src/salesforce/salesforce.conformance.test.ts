import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { startSalesforceStandIn } from './salesforce.stand-in.js';

const failed = (errorCode: string) => [{ errorCode, message: 'no' }];
const pause = { 'retry-after': String(pauseMs / 1_000) };
const lead = (externalId: string) => ({ object: 'Lead', externalIdField: 'Millrace_Id__c', externalId, fields: { LastName: "O'Hara" } });
const soql = 'SELECT Id, Name FROM Lead WHERE Email = :email';

connectorConformance({
  name: 'salesforce',
  start: startSalesforceStandIn,
  settings: () => ({}),
  account: ({ url }) => ({ instance_url: url }),
  writes: [
    { operation: 'upsertRecord', input: lead("a/b'..?x=1"), effects: ({ records }) => records.get('Lead')?.length ?? 0 },
    {
      operation: 'upsertRecords',
      input: { object: 'Lead', externalIdField: 'Key__c', records: [{ attributes: { type: 'Lead' }, Key__c: 'k-1', LastName: 'A' }] },
      effects: ({ records }) => records.get('Lead')?.length ?? 0,
    },
    {
      operation: 'updateRecord',
      input: { object: 'Lead', id: '00Q1', fields: { LastName: 'B' } },
      prepare: ({ records }) => void records.set('Lead', [{ Id: '00Q1', LastName: 'A' }]),
      effects: ({ records }) => records.get('Lead')!.filter(({ LastName }) => LastName === 'B').length,
    },
  ],
  answers: [
    { as: 'permanent', status: 400, body: failed('REQUIRED_FIELD_MISSING') },
    { as: 'permanent', status: 300, body: ['/services/data/v66.0/sobjects/Lead/1', '/services/data/v66.0/sobjects/Lead/2'] },
    { as: 'transient', status: 400, body: failed('UNABLE_TO_LOCK_ROW') },
    { as: 'conflict', status: 400, body: failed('DUPLICATE_VALUE') },
    { as: 'limited', status: 403, headers: pause, body: failed('REQUEST_LIMIT_EXCEEDED') },
    { as: 'credential', status: 401, body: failed('INVALID_SESSION_ID') },
    { as: 'credential', status: 403, body: failed('API_DISABLED_FOR_ORG') },
    { as: 'uncertain', status: 503, body: failed('SERVER_UNAVAILABLE') },
  ],
  others: [
    { status: 404, body: failed('NOT_FOUND') },
    { status: 200, body: [{ success: false, errors: [] }] },
    { status: 200, body: { compositeResponse: [{ httpStatusCode: 400 }] } },
  ],
  lists: [
    {
      operation: 'query',
      input: { soql: 'SELECT Id FROM Lead' },
      count: 4_500,
      prepare: ({ records }) =>
        void records.set(
          'Lead',
          Array.from({ length: 4_500 }, (_, at) => ({ Id: String(at) })),
        ),
    },
  ],
  hostile: [
    { operation: 'upsertRecord', input: lead, seen: ({ segments }) => segments[6] },
    {
      operation: 'query',
      input: (email) => ({ soql, values: { email } }),
      // As Salesforce reads it: the text between the quotes, without escapes.
      seen: ({ query }) =>
        /= '((?:[^'\\]|\\.)*)'$/s
          .exec(query.get('q')!)![1]!
          .replaceAll(/\\(.)/gs, (_, char: string) => ({ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' })[char] ?? char),
    },
  ],
});
