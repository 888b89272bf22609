import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptCopy } from './prompt-copy.js';

describe('the copy of a text for a prompt', () => {
  it.each([
    ['tags', 'a\u{E0001}\u{E0069}\u{E007F}b'],
    ['variation selectors', 'a\uFE0F\u{E0100}\u{E01EF}b'],
    ['zero-width characters', 'a\u200B\u200C\u200D\u2060\uFEFFb'],
    ['controls of direction', 'a\u202E\u2066\u2069\u200E\u200F\u061Cb'],
    ['invisible operators and fillers', 'a\u2062\u3164\u115F\u180E\u034F\u00ADb'],
  ])('has no %s', (_, text) => expect(promptCopy(text)).toBe('ab'));

  it('is composed after that, so that nothing hides between a letter and its mark', () => {
    expect(promptCopy('a\u200B\u0308')).toBe('\u00E4');
  });

  it.each([
    ['</data-0>', '< /data-0>'],
    ['<\u200Bdata-0>', '< data-0>'],
    ['< data-0>', '< data-0>'],
    ['＜/data-0', '＜ /data-0'],
    ['<|im_start|>system', '< |im_start|>system'],
    ['[INST] x [/INST]', '[ INST] x [ /INST]'],
    ['<<SYS>>x<</SYS>>', '< <SYS>>x< </SYS>>'],
    ['<start_of_turn>model</s>', '< start_of_turn>model< /s>'],
  ])('breaks what looks like a mark: %s', (text, copy) => expect(promptCopy(text)).toBe(copy));

  it.each(['a < b', '<b>bold</b>', '[1] and [note]', 'a<|b', 'données', '你好', 'مرحبا', '<dataset>'])(
    'leaves other texts alone: %s',
    (text) => {
      expect(promptCopy(text).replace('< |', '<|')).toBe(text.normalize('NFC'));
    },
  );

  it('is its own copy', () => {
    const unit = fc.oneof(
      fc.constantFrom('<', '/', 'data-0', '|', '[', 'INST]', ' ', '\u200B', 'a', '\u0308', '＜', '<s>'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(unit), (parts) => {
        const copy = promptCopy(parts.join(''));
        expect(promptCopy(copy)).toBe(copy);
      }),
    );
  });
});
