import { describe, expect, it, test } from 'vitest';
import type { Json } from '#libs/json';
import { MarkupGate } from './markup.js';
import type { MarkupPolicy } from './markup.js';

const problemsOf = (output: Json, allowed: unknown[] = [], policy: MarkupPolicy = 'fromInput'): string[] =>
  new MarkupGate(policy, allowed).problemsOf(output);

describe('a text of an output', () => {
  it.each([
    ['an address', 'see https://evil.example/a?d=1'],
    ['an address', 'HTTPS:\\\\evil.example'],
    ['an address', 'h\u200Bttps://evil.example'],
    ['an address', 'ｈttps：／／evil.example'],
    ['an address', 'javascript:alert(1)'],
    ['an address', 'custom-app://open'],
    ['an address', 'mailto:x@evil'],
    ['an address', 'src="//evil.example/x"'],
    ['an address', 'www.evil.ly'],
    ['an address', 'go to evil.ly/path'],
    ['an address', 'evil.ly?d=secret'],
    ['an address', 'evil。com'],
    ['an address', 'Secret.Evil.COM'],
    ['an address', 'xn--abc.com'],
    ['a mail address', 'write to bob@evil.museum'],
    ['a Markdown image', '![x][ref]'],
    ['a Markdown link', '[click](evil)'],
    ['a Markdown link', '[a [b] c](/relative)'],
    ['a Markdown link', 'text\n[ref]: evil'],
    ['HTML', '<b>bold</b>'],
    ['HTML', '<IMG SRC=x onerror=alert(1)'],
    ['HTML', '</script>'],
    ['HTML', '<!-- x -->'],
    ['a mention', '<@U012AB3CD> look'],
    ['hidden text', 'fine\u{E0068}\u{E0069}'],
    ['hidden text', 'abc\u202Ecba'],
  ])('must not have %s of its own: %s', (name, text) => {
    expect(problemsOf({ text })).toContain(`/text must not have ${name} that is not in the input`);
  });

  it.each([
    'The customer asks for 12.50 EUR, i.e. the whole amount, by 10:30.',
    'Reasons: late delivery (2 days), e.g. order A-12/B; see file report.pdf in Node.js.',
    'a < b and c > d, <= 5; 3<4',
    '**bold**, `code`, - list, # heading, [note] (aside), a[0]',
    'Ratio 3:4. And/or. C:/temp is no host… 100% @ 5',
    'Привет! 你好。下一句。',
    'flag 🏳️‍🌈 and 👩‍💻',
  ])('may be: %s', (text) => expect(problemsOf({ text })).toEqual([]));
});

describe('a link that is known', () => {
  it.each([
    ['the same address', 'https://a.example/x?y=1', 'see https://a.example/x?y=1.'],
    ['an address at the end of a sentence', 'Go to https://a.example/x.', 'https://a.example/x'],
    ['the address without its scheme', 'a.example/x', 'https://a.example/x'],
    ['the host of an address', 'A.example', 'https://a.example/x'],
    ['the host of a mail address', 'Somebody at acme.com', 'From: bob@acme.com'],
    ['the same mail address', 'Bob@acme.com', '"Bob" <bob@acme.com>'],
    ['an address that a summary ends within', 'See https://a.example/orders/47…', 'https://a.example/orders/4711?x=1'],
    ['the same Markdown', '![chart](https://a.example/c.png)', 'look: ![chart](https://a.example/c.png)'],
    ['the same HTML', '<b>x', 'an <b>important</b> matter'],
    ['an address that the input has with entities', 'https://a.example/?a=1&b=2', '<a href="https://a.example/?a=1&amp;b=2">'],
    ['an address in JSON as text', 'https://a.example/x', '{"url":"https:\\/\\/a.example\\/x"}'],
  ])('may be repeated: %s', (_, text, input) => expect(problemsOf({ text }, [{ deep: [input] }])).toEqual([]));

  it.each([
    ['with something appended', 'https://a.example/x?d=secret', 'https://a.example/x'],
    ['with its host cut off', 'https://a.co', 'https://a.company.example/x'],
    ['as an element that is cut off', '<img src="https://a.example/?', '<img src="https://a.example/?x">'],
    ['with another case in its path', 'https://a.example/Ab', 'https://a.example/ab'],
    ['at another host', 'https://b.a.example/', 'https://a.example/'],
    ['as an image', '![x](https://a.example/x.png)', 'https://a.example/x.png'],
    ['as an image where it was a link', '![x](https://a.example/x.png)', '[x](https://a.example/x.png)'],
    ['as an element', '<img src=https://a.example/x.png>', 'https://a.example/x.png'],
  ])('must not be repeated %s', (_, text, input) => expect(problemsOf({ text }, [input])).not.toEqual([]));
});

test('problems name the place and never quote the text, also where it is the name of a property', () => {
  const output = { list: [{ 'https://evil.example/secret': 'x', ok: '<b>' }] };
  expect(problemsOf(output)).toEqual([
    'a name within /list/0 must not have an address that is not in the input',
    '/list/0/ok must not have HTML that is not in the input',
  ]);
  expect(problemsOf('https://evil.example')).toEqual(['the answer must not have an address that is not in the input']);
});

test('a flow may want none, or let the model write its own', () => {
  const [output, allowed] = [{ text: 'https://a.example' }, ['https://a.example']];
  expect(problemsOf(output, allowed, 'none')).toEqual(['/text must not have an address']);
  expect(problemsOf({ text: 'https://b.example <b>' }, allowed, 'any')).toEqual([]);
});

const parts = ['a.', 'a-', '[', '](', '](a', '![', '<a', '<', '<!', '//', 'a@', 'a:', 'www.', '\n[', 'a.a/', '.', '@', 'ä', '!', '?'];

test.each(parts)('the look takes a time in proportion to the text: %j', (part) => {
  const text = part.repeat(130_000 / part.length);
  const startedAt = process.cpuUsage();
  problemsOf({ text }, [text]);
  expect(process.cpuUsage(startedAt).user / 1_000).toBeLessThan(3_000); // the slowest takes 0.3 s on a busy machine
});
