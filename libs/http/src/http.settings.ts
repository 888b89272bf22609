import { flag, urls } from '#libs/config';

/** The addresses that a process may reach for tenants, by their destinations and connections. */
export const outboundSettings = {
  allowPrivateAddresses: flag('DELIVERY_ALLOW_PRIVATE_ADDRESSES', {
    help: 'Allows destinations and connections at loopback, private and other inner addresses. Only if every tenant is trusted.',
    fallback: 'false',
  }),
  allowedUrls: urls('DELIVERY_ALLOWED_URLS', ['http', 'https', 'smtp', 'postgres', 'mysql', 'kafka'], {
    help: 'Addresses that destinations and connections of every tenant may have although they are not public, such as http://crm.internal:8080. One without a path stands for all of its host and port, one with a path only for itself.',
  }),
};
