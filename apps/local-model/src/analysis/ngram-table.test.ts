import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import { eld } from 'eld/small';
import { expect, test } from 'vitest';
import { detectLanguage } from './language.js';
import { readNgrams } from './ngram-table.js';

const file = new URL('src/ngrams/small.js', pathToFileURL(findPackageJSON('eld', import.meta.url)!));

test('every n-gram of the data file has the same weights in the table', async () => {
  const { ngramsData } = (await import(file.href)) as {
    ngramsData: { languages: Record<number, string>; ngrams: Record<string, Record<number, number>> };
  };
  const { languages, ngrams } = readNgrams(readFileSync(file, 'utf8'));
  expect(languages).toEqual(Object.values(ngramsData.languages));
  const entries = Object.entries(ngramsData.ngrams);
  expect(ngrams.size).toBe(entries.length);
  const different = entries.filter(([ngram, weights]) => JSON.stringify(ngrams.get(ngram)) !== JSON.stringify(weights));
  expect(different).toEqual([]);
  expect(ngrams.get('none')).toBeUndefined();
});

test.each([
  'export const ngramsData = {};',
  "export const ngramsData = {type:'S60',languages:{0:'am'},isSubset:false,ngrams:{'a':{0:1},[b]:{0:2}}}",
])('a data file in another form is refused: %s', (source) => {
  expect(() => readNgrams(source)).toThrow('data file of eld');
});

test.each([
  'The parcel came late and the box was open, I would like to have my money back.',
  'Das Paket kam zu spät und der Karton war offen, ich möchte mein Geld zurück.',
  'Le colis est arrivé en retard et la boîte était ouverte, je veux être remboursé.',
  'El paquete llegó tarde y la caja estaba abierta, quiero que me devuelvan el dinero.',
  'Посылка пришла поздно, и коробка была открыта.',
  '荷物が遅れて届き、箱が開いていました。返金してください。',
  "l'ordine è arrivato in ritardo",
  'ok',
  '',
])('a text has the language that eld finds in it: %s', (text) => {
  const found = eld.detect(text);
  if (found.isReliable()) expect(detectLanguage(text).code).toBe(found.language);
  else expect(detectLanguage(text).confidence).toBe(0.3);
});
