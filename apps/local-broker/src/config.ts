import { integer, text } from '#libs/config';

/** Settings of a broker that runs alone. In standalone, the directory and a free port are given, and only the size limit is shared. */
export const localBrokerSettings = {
  directory: text('LOCAL_BROKER_DIRECTORY', { help: 'Folder of the log.', fallback: '.millrace/log' }),
  host: text('LOCAL_BROKER_HOST', { help: 'Loopback address to listen on.', fallback: '127.0.0.1' }),
  port: integer('LOCAL_BROKER_PORT', { min: 0, max: 65_535 }, { help: 'Port to listen on; 0 takes a free one.', fallback: '9092' }),
  retentionMegabytes: integer(
    'LOCAL_BROKER_RETENTION_MEGABYTES',
    { min: 64, max: 1_000_000 },
    {
      help: 'Size of the whole log at which the oldest records are deleted, whatever age their topic keeps and whether or not they were read.',
      fallback: '4096',
    },
  ),
};
