/**
 * The stand-ins of vendors that the one-process form serves as sample systems. Each is held to its connector by the connector's suite. They are loaded
 * when they are asked for, so that a process which acts in real systems never has them.
 */
export const vendorStandIns = {
  github: async () => (await import('./github/github.stand-in.js')).gitHubStandIn(),
  hubspot: async () => (await import('./hubspot/hubspot.stand-in.js')).hubSpotStandIn(),
  shopify: async () => (await import('./shopify/shopify.stand-in.js')).shopifyStandIn(),
  slack: async () => (await import('./slack/slack.stand-in.js')).slackStandIn(),
  stripe: async () => (await import('./stripe/stripe.stand-in.js')).stripeStandIn(),
};
