/** The settings of the front door that CONFIG SET may change while it runs. */
export interface Settings {
  /** Empty: no password is needed. */
  password: string;
  protectedMode: boolean;
  clientsMax: number;
  /** Seconds without a command after which a client is closed; 0 never. */
  idleTimeoutSeconds: number;
  /** Seconds between TCP keep-alive probes; 0 is off. */
  tcpKeepAliveSeconds: number;
  bulkBytesMax: number;
  queryBytesMax: number;
  /** Unsent reply bytes after which a client is disconnected; 0 is no limit. */
  outputLimitBytes: number;
  slowLogMicroseconds: number;
  slowLogLengthMax: number;
}
