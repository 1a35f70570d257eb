/**
 * Networks at which clouds answer questions about the machine, credentials among them: the link-local ones (RFC 3927, RFC 4291), and fixed
 * addresses of some clouds. No user's code and no URL of a user may lead there.
 */
export const metadata = {
  ipv4: ['169.254.0.0/16', '100.100.100.200/32', '168.63.129.16/32'],
  ipv6: ['fe80::/10', 'fd00:ec2::254/128', 'fd20:ce::254/128'],
} as const
