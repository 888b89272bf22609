import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runInTest } from '../run-in-test.js';
import { pictureOf } from './flow.picture.js';
import { flowsOf } from './template.page.js';
import { templateNamed, templateNames } from './template.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-templates-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const millrace = (...args: string[]) => runInTest(args, { directory });
const credentials = {
  url: 'http://127.0.0.1:8080',
  tenant: 'globex',
  apiKey: 'mr_k',
  secrets: { systems: 'T0KEN' },
  systems: { port: 4711, mailPort: 4712 },
};
function withNpmStart(): void {
  mkdirSync(join(directory, '.millrace'));
  writeFileSync(join(directory, '.millrace', 'credentials.json'), JSON.stringify(credentials));
}

test('millrace templates lists each with what it does', async () => {
  const { code, out, notes } = await millrace('templates');
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => line.split(' ')[0])).toEqual(templateNames());
  expect(notes).toContain('templates run NAME');
});

test('the build and the image have the templates, which the command finds beside its code', () => {
  for (const name of templateNames()) expect(existsSync(join('dist', 'templates', name, 'template.yaml'))).toBe(true);
  expect(readFileSync('Dockerfile', 'utf8')).toContain('COPY templates templates');
});

describe.each(templateNames())('the template %s', (name) => {
  test('has documents that can be applied, tests that pass, and samples that are there', async () => {
    withNpmStart();
    expect((await millrace('init', name, 'own')).code).toBe(0);
    const validated = await millrace('validate', '-f', join(directory, 'own', 'documents'));
    expect(validated).toMatchObject({ code: 0, out: '' });
    expect(validated.notes).not.toContain('warning');
    expect(await millrace('flows', 'test', join(directory, 'own', 'tests.yaml'))).toMatchObject({
      code: 0,
      notes: expect.stringMatching(/passed\.$/),
    });
    const { folder, samples } = templateNamed(name);
    const events = samples.flatMap(({ event }) => event ?? []);
    for (const event of events) expect(existsSync(join(folder, event))).toBe(true);
    const files = existsSync(join(folder, 'events')) ? readdirSync(join(folder, 'events')) : [];
    expect(files.map((file) => `events/${file}`)).toEqual(events.toSorted());
  });

  test('runs for nobody but its own source, under a name that is its own', () => {
    const others = templateNames()
      .filter((one) => one !== name)
      .flatMap((one) => flowsOf(templateNamed(one)));
    for (const { metadata, spec } of flowsOf(templateNamed(name))) {
      expect(metadata.name).toBe(name);
      expect(spec.on.sources).toHaveLength(1);
      expect(others.flatMap(({ spec: { on } }) => on.sources)).not.toContain(spec.on.sources![0]);
    }
  });
});

describe('millrace init', () => {
  test('fills in the sample systems and the tenant of npm start, and writes a page with a picture', async () => {
    withNpmStart();
    const { out, notes } = await millrace('init', 'nightly-digest');
    expect(out.split('\n')).toContain('nightly-digest/documents/flow.yaml');
    expect(notes).toContain('templates run ./nightly-digest');
    const connections = readFileSync(join(directory, 'nightly-digest/documents/connections.yaml'), 'utf8');
    expect(connections).toContain('base: "http://127.0.0.1:4711/backoffice"');
    expect(connections).toContain('value: "T0KEN"');
    expect(connections).toContain('port: 4712\n');
    expect(connections).not.toMatch(/acme,|\$\{/);
    const page = readFileSync(join(directory, 'nightly-digest/README.md'), 'utf8');
    expect(page).toMatch(/^# Nightly digest by mail\n/);
    expect(page).toContain('```mermaid\nflowchart TD');
    expect(page).toContain('npm run -s millrace -- templates run ./nightly-digest');
  });

  test('without npm start leaves the places of the systems, and says so', async () => {
    const { code, notes } = await millrace('init', 'ticket-triage', 'deep/own');
    expect([code, notes]).toEqual([0, expect.stringContaining('The connections name no system yet')]);
    expect(readFileSync(join(directory, 'deep/own/documents/connections.yaml'), 'utf8')).toContain('${systems}');
  });

  test('overwrites nothing', async () => {
    writeFileSync(join(directory, 'file'), 'mine');
    mkdirSync(join(directory, 'folder'));
    writeFileSync(join(directory, 'folder', 'notes.txt'), 'mine');
    mkdirSync(join(directory, 'empty'));
    expect(await millrace('init', 'ticket-triage', 'file')).toEqual({
      code: 2,
      out: '',
      notes: 'file is a file: give the name of a new folder',
    });
    expect((await millrace('init', 'ticket-triage', 'folder')).notes).toMatch(/^folder is not empty, and nothing in it is overwritten/);
    expect(readdirSync(join(directory, 'folder'))).toEqual(['notes.txt']);
    expect((await millrace('init', 'ticket-triage', 'empty')).code).toBe(0);
  });

  test.each([
    ['init', 'nope'],
    ['templates', 'run', 'nope'],
  ])('names the templates if there is none of the name: %s %s', async (...args) => {
    withNpmStart();
    const { code, notes } = await millrace(...args);
    expect([code, notes]).toEqual([2, expect.stringContaining('There is no template nope. There are inventory-alert, ')]);
  });

  test('a folder to run must have been made by it', async () => {
    withNpmStart();
    expect((await millrace('templates', 'run', './nope')).notes).toBe('There is no nope/template.yaml: millrace init makes such a folder');
    mkdirSync(join(directory, 'bad'));
    writeFileSync(join(directory, 'bad', 'template.yaml'), 'title: x\n');
    expect((await millrace('templates', 'run', './bad')).notes).toMatch(/template\.yaml is no template:\n(.*\n)*.*summary/);
  });
});

test('the picture of a flow has its trigger, its steps in their order, its branches and its decision', () => {
  const [flow] = flowsOf(templateNamed('lead-upsert'));
  const lines = pictureOf(flow!).split('\n');
  expect(lines[1]).toBe('  n1(["lead.submitted<br/>from web-leads"])');
  const nameOf = (id: string): string => /^\s*(n\d+)/.exec(lines.find((line) => line.includes(`"${id}`))!)![1]!;
  const [branch, update, updated, created, lead] = ['contact', 'update', 'updated', 'created', 'lead<br/>'].map(nameOf);
  expect(lines).toContain(`  ${branch} -- "$exists(steps.known.id)" --> ${update}`);
  expect(lines).toContain(`  ${updated} --> ${lead}`);
  expect(lines).toContain(`  ${created} --> ${lead}`);
  expect(lines.at(-1)).toMatch(new RegExp(`^  ${lead} -\\.-> n\\d+$`));
});
