import { describe, expect, it } from 'vitest';
import { analyse } from './analysis.js';

/**
 * Small sets written by hand, apart from the lexicon and the examples and not used to tune them, to know what the methods are worth.
 * `docs/local-model.md` reports the figures; the floors here are those figures.
 */
const sentiments: Record<'negative' | 'neutral' | 'positive', readonly string[]> = {
  negative: [
    'You took the money out of my account two times and your hotline hangs up on me.',
    'The charger melted after one night, this is dangerous.',
    'I have been on hold for an hour and a half.',
    'Support closed my ticket without reading it.',
    'This update ruined the app for me.',
    'My refund was promised three weeks ago and I have heard nothing since.',
    'Terrible packaging, the vase was in pieces.',
    'The new version is not good at all.',
    'I am not happy with how this was handled.',
    'The product is great but the delivery was a disaster.',
    'We keep losing orders because your API goes down every evening.',
    'Oh great, another outage. Exactly what I needed today.',
    'It never worked, not even once.',
    'I would not recommend this to anybody.',
    'Why does it take five e-mails to get a simple answer?',
  ],
  neutral: [
    'Can you tell me where to find my invoice?',
    'I would like to change the delivery address for order 5531.',
    'The meeting is on Tuesday at ten.',
    'Which sizes do you have in stock?',
    'Our VAT number is DE123456789.',
    'Please send the parcel to my office.',
    'Pull request opened by a contributor.',
    'customer.subscription.updated',
    'The invoice for October is attached.',
    'How do I export my contacts?',
    'I need a quote for 20 licences.',
    'The package left the warehouse on Monday.',
  ],
  positive: [
    'Your colleague Maria solved it in five minutes, brilliant.',
    'Everything arrived a day early and nicely wrapped.',
    'The headphones sound amazing.',
    'Not bad at all, I am impressed.',
    'Thank you for the quick fix!',
    'I was worried at first, but it turned out wonderful.',
    'Best purchase I have made this year.',
    'The migration went smoothly and the team is delighted.',
    'We are very satisfied with the service and will renew.',
    'It just works.',
    'Love it, would buy again.',
    'Setup could not have been easier.',
    'I have no complaints, five stars.',
  ],
};

const topics: Record<string, readonly string[]> = {
  billing: [
    'You debited my bank account on the wrong day.',
    'My receipt is missing the company name.',
    'The credit card payment keeps failing at renewal.',
    'Why is there an extra fee on my bill?',
  ],
  delivery: [
    'The tracking page has said "in transit" for nine days.',
    'Somebody else signed for my parcel.',
    'Could you send it to a pick-up point instead of my address?',
    'My order was supposed to be here by Friday.',
  ],
  product: [
    'The handle of the pan came off when I washed it.',
    'These trousers are a size too small, can I exchange them?',
    'Two of the plates arrived cracked.',
    'Is this jacket available in green?',
  ],
  engineering: [
    'The export job throws a 502 since the last deploy.',
    'Users see a white page after the update in Safari.',
    'The webhook endpoint times out under load.',
    'There is a memory leak in the worker.',
  ],
  account: [
    'I lost access to my e-mail and cannot reset the password.',
    'Please rename my user.',
    'The code for two factor login does not arrive.',
    'How can I add a colleague to the workspace?',
  ],
  security: [
    'Someone else logged in to my account from Brazil.',
    'I received a suspicious e-mail with your logo asking for my password.',
    'We found an API token of yours in a public gist.',
    'A stolen card was used for this purchase.',
  ],
  cancellation: [
    'Please do not renew my plan in January.',
    'How can I end my membership?',
    'We are moving to another vendor and want to stop the contract.',
    'I would like to cancel.',
  ],
  sales: [
    'What would it cost for a team of eighty?',
    'Can we get a demo next week?',
    'Do students get a discount?',
    'Which plan do we need for single sign on?',
  ],
  feedback: [
    'You should add a dark theme.',
    'I just want to say that your support is wonderful.',
    'The redesign confuses me, please bring the old menu back.',
    'Great experience, I told all my friends.',
  ],
  unknown: ['The weather in Lisbon is lovely in May.', 'lorem ipsum dolor sit amet', 'Who won the football match yesterday?', 'abc'],
};

const languages: Record<string, string> = {
  'Where is my order? It was supposed to arrive yesterday.': 'en',
  'Ich warte seit zwei Wochen auf meine Bestellung.': 'de',
  'Le colis est arrivé abîmé et je souhaite être remboursé.': 'fr',
  'Quiero cancelar mi suscripción cuanto antes.': 'es',
  'Il prodotto non funziona e nessuno risponde.': 'it',
  'Ik kan niet inloggen op mijn account.': 'nl',
  'Gostaria de alterar o endereço de entrega.': 'pt',
  'Nie mogę się zalogować do mojego konta.': 'pl',
  'Jag vill ha pengarna tillbaka.': 'sv',
  '注文した商品がまだ届いていません。': 'ja',
  'Мой заказ не пришёл, верните деньги.': 'ru',
  'Siparişim hâlâ gelmedi, paramı geri istiyorum.': 'tr',
};

interface Result {
  right: number;
  of: number;
  wrong: string[];
}

function score(set: Readonly<Record<string, readonly string[]>>, label: (text: string) => string): Result {
  const cases = Object.entries(set).flatMap(([expected, texts]) => texts.map((text) => ({ expected, text, given: label(text) })));
  const wrong = cases
    .filter(({ expected, given }) => expected !== given)
    .map(({ expected, given, text }) => `${expected} → ${given}: ${text}`);
  return { right: cases.length - wrong.length, of: cases.length, wrong };
}

describe('on sentences it has not seen', () => {
  it('tells the sentiment of most', () => {
    const result = score(sentiments, (text) => analyse([text]).sentiment.label);
    expect(result).toSatisfy(({ right }: Result) => right >= 32);
  });

  it('takes no sentiment for its opposite', () => {
    const opposite = score(sentiments, (text) => analyse([text]).sentiment.label).wrong.filter((line) => !line.includes('neutral'));
    expect(opposite).toEqual([]);
  });

  it('tells the topic of most, and says where it does not know', () => {
    const result = score(topics, (text) => analyse([text]).topic.label);
    expect(result).toSatisfy(({ right }: Result) => right >= 32);
  });

  it('tells the language of all', () => {
    const wrong = Object.entries(languages).filter(([text, code]) => analyse([text]).language.code !== code);
    expect(wrong).toEqual([]);
  });
});
