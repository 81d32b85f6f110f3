/* The table of advice; see advice.h. */
#include "advice.h"

#define SECRET "spectro-manifest-registry-secrets"
#define EDIT   "kubectl -n hubble-system edit secret " SECRET

static const struct advice advices[ADVICE_CAUSE_COUNT] = {
	/* ---- the way there ---- */
	[OCI_CAUSE_HOST_UNKNOWN] = { "host-unknown",
	                             "Correct the host in --repository or in the secret's key "
	                             "endpoint. If it is right, ask the cluster's DNS for it from "
	                             "a pod (nslookup HOST), and add it there or under hostAliases "
	                             "of the StatefulSet. A host that is not the registry's is its "
	                             "token server or its storage, and is needed too." },
	[OCI_CAUSE_REFUSED] = { "connection-refused",
	                        "Correct the port in --repository or in the secret's key endpoint "
	                        "(HOST:PORT; without one it is 443), and see whether the registry "
	                        "runs: curl -v https://HOST:PORT/v2/" },
	[OCI_CAUSE_UNREACHABLE] = { "host-unreachable",
	                            "Open the way from the pod's node to the registry: routes, the "
	                            "NetworkPolicy of specman (kubectl -n hubble-system get "
	                            "networkpolicy), firewalls; or set HTTPS_PROXY." },
	[OCI_CAUSE_CONNECT_TIMEOUT] = { "connect-timeout",
	                                "A firewall swallows the packets, or the address is wrong. "
	                                "Let egress to the registry's address and port pass, or "
	                                "set "
	                                "HTTPS_PROXY when the way out is a proxy." },
	[OCI_CAUSE_STALLED] = { "connection-stalled",
	                        "Look at the registry's load and log, and at what stands between "
	                        "(a load balancer, an MTU that is too large: try ping -M do -s "
	                        "1400 HOST). It is tried again by itself." },
	[OCI_CAUSE_BROKEN_OFF] = { "broken-off",
	                           "Look into the log of the registry or of the load balancer in "
	                           "front of it for time or size limits. It is tried again by "
	                           "itself." },
	[OCI_CAUSE_PROXY_UNREACHABLE] = { "proxy-unreachable",
	                                  "Correct HTTPS_PROXY (or HTTP_PROXY) in the pod's "
	                                  "environment, or name the registry in NO_PROXY when it "
	                                  "is reached directly." },
	[OCI_CAUSE_PROXY_LOGIN] = { "proxy-login",
	                            "Give the proxy its user: HTTPS_PROXY=http://USER:PASSWORD@"
	                            "HOST:PORT, taken from a Secret by secretKeyRef; or name the "
	                            "registry in NO_PROXY." },
	[OCI_CAUSE_PROXY_REFUSED] = { "proxy-refused",
	                              "Let the proxy's rules allow CONNECT to the registry's host "
	                              "and port (and to its token server and storage), or name the "
	                              "registry in NO_PROXY." },

	/* ---- TLS to the registry ---- */
	[OCI_CAUSE_TLS_UNTRUSTED] = { "tls-untrusted-ca",
	                              "Give the CA that signed the registry's certificate: "
	                              "--registry-ca FILE, or the secret's key caCert (PEM). See "
	                              "it with: openssl s_client -showcerts -connect HOST:PORT" },
	[OCI_CAUSE_TLS_INTERCEPTED] = { "tls-intercepted",
	                                "The proxy shows a certificate of its own. Trust the "
	                                "proxy's CA (--registry-ca FILE or the secret's key "
	                                "caCert), or take the registry out of its inspection, or "
	                                "name it in NO_PROXY." },
	[OCI_CAUSE_TLS_EXPIRED] = { "tls-expired",
	                            "Renew the registry's certificate. If it has not expired by a "
	                            "right clock, set this node's clock (timedatectl)." },
	[OCI_CAUSE_TLS_NOT_YET_VALID] = { "tls-not-yet-valid",
	                                  "The certificate begins in the future: this node's "
	                                  "clock is behind, or the issuer's was ahead. Set the "
	                                  "clock (timedatectl; chronyc tracking), or issue the "
	                                  "certificate anew." },
	[OCI_CAUSE_TLS_WRONG_NAME] = { "tls-wrong-name",
	                               "Ask the registry by a name that its certificate has: set "
	                               "--repository or the secret's key endpoint to it; or issue "
	                               "a certificate with this name among its subjectAltNames." },
	[OCI_CAUSE_TLS_PLAIN_HTTP] = { "tls-plain-http",
	                               "The port speaks http without TLS. Name the registry's TLS "
	                               "port; only when it has none, and the network is your own: "
	                               "--plain-http" },
	[OCI_CAUSE_TLS_CLIENT_CERT] = { "tls-client-certificate",
	                                "The registry wants a client certificate that it knows: "
	                                "--registry-cert FILE and --registry-key FILE, or the "
	                                "secret's keys clientCert and clientKey." },
	[OCI_CAUSE_TLS_HANDSHAKE] = { "tls-handshake",
	                              "Let the registry offer TLS 1.2 or 1.3 with a cipher of "
	                              "forward secrecy; with --fips, AES-GCM, a curve of NIST and "
	                              "certificates of RSA or ECDSA. See what it has with: "
	                              "openssl s_client -connect HOST:PORT" },

	/* ---- who asks, and what for ---- */
	[OCI_CAUSE_LOGIN_MISSING] = { "credentials-missing",
	                              "Give a login: the secret's keys username and password, or "
	                              ".dockerconfigjson with an entry for exactly this host (and "
	                              "port); or --registry-username with "
	                              "--registry-password-file." },
	[OCI_CAUSE_LOGIN_REFUSED] = { "login-refused",
	                              "Correct username and password: " EDIT " (in Harbor, a "
	                              "robot's name begins with robot$, and robots expire). Try "
	                              "them with: skopeo login HOST" },
	[OCI_CAUSE_TOKEN_POWERLESS] = { "token-powerless",
	                                "The token server gave a token that the registry does not "
	                                "take: mostly a wrong password or an expired robot in "
	                                "Harbor, or a user without the right to pull. Correct the "
	                                "secret's username and password, or give the robot pull "
	                                "on this project." },
	[OCI_CAUSE_NO_RIGHT] = { "no-pull-right",
	                         "The login is right, but may not pull. Give the user, or the "
	                         "robot "
	                         "account, the right to pull and list this repository." },
	[OCI_CAUSE_POLICY] = { "policy-forbids",
	                       "A rule of the registry forbids the pull. In Harbor, under the "
	                       "project's Configuration: \"Prevent vulnerable images from "
	                       "running\" "
	                       "and the rules on cosign signatures; take this project out of them, "
	                       "or scan and sign the artifact." },
	[OCI_CAUSE_REALM_REFUSED] = { "token-server-refused",
	                              "The registry names a token server that must not get the "
	                              "password. Correct the registry's external URL (Harbor: "
	                              "external_url; distribution: auth.token.realm) to a public "
	                              "https address." },
	[OCI_CAUSE_NO_TOKEN_SERVER] = { "no-token-server",
	                                "The registry sends its users for a token to an address "
	                                "that gives none. Correct its external URL (Harbor: "
	                                "external_url; distribution: auth.token.realm), and look "
	                                "whether what stands in front of it lets that path "
	                                "through: curl -i on the realm of its WWW-Authenticate." },
	[OCI_CAUSE_REDIRECT_REFUSED] = { "redirect-refused",
	                                 "Correct the registry's external URL and its proxy's "
	                                 "X-Forwarded-Proto: it leads in circles, or from https to "
	                                 "http." },
	[OCI_CAUSE_REPOSITORY_UNKNOWN] = { "repository-unknown",
	                                   "Correct the path: --repository HOST/PATH, or the "
	                                   "secret's key baseContentPath, behind which "
	                                   "/spectro-manifests/manifest is put. List what there is "
	                                   "with: skopeo list-tags docker://HOST/PATH. A registry "
	                                   "may say so as well when the user may not see it." },
	[OCI_CAUSE_NOT_A_REGISTRY] = { "not-a-registry",
	                               "Something else answers at this address: a console, a login "
	                               "page, an ingress. Name the registry's own host and port; "
	                               "curl -i https://HOST/v2/ has to answer 200 or 401 with "
	                               "JSON." },
	[OCI_CAUSE_CONTENT_GONE] = { "content-gone",
	                             "The tag names content that the registry has lost (a clean-up "
	                             "that went too far, a copy that was broken off). Push the "
	                             "release again." },
	[OCI_CAUSE_RATE_LIMITED] = { "rate-limited",
	                             "The registry wants fewer questions. Raise --poll-interval, "
	                             "log "
	                             "in instead of asking anonymously, or raise the registry's "
	                             "limit. specman waits as long as it is told to." },
	[OCI_CAUSE_SERVER_FAILED] = { "server-failed",
	                              "Look into the registry's own log, and at its storage and "
	                              "database: the request came to it and broke there. It is "
	                              "tried again by itself." },
	[OCI_CAUSE_HELPER] = { "credential-helper",
	                       "The docker config leaves this host to a helper program, which the "
	                       "image does not have. Make an entry under \"auths\" instead "
	                       "(kubectl create secret docker-registry …, with --dry-run=client -o "
	                       "yaml to look at it); for ECR, leave the config out and give AWS "
	                       "credentials." },

	/* ---- pushing ---- */
	[OCI_CAUSE_PUSH_NO_RIGHT] = { "no-push-right",
	                              "The login is right, but may not push (Harbor says the same "
	                              "of a wrong password where anybody may pull). Push as a user "
	                              "or robot account with the right to push: in Harbor, "
	                              "Developer or more, or a robot with Push Repository; and see "
	                              "that the project exists." },
	[OCI_CAUSE_PUSH_NO_REPOSITORY] = { "no-push-repository",
	                                   "Make the repository first. In ECR: aws ecr "
	                                   "create-repository --repository-name NAME, where NAME "
	                                   "is all between the host and the tag; in Harbor, the "
	                                   "project, which is the name's first part." },
	[OCI_CAUSE_PUSH_FULL] = { "registry-full",
	                          "Make room: raise the project's quota (Harbor: Administration, "
	                          "Project Quotas), delete old tags and let the registry collect "
	                          "its garbage, or enlarge its storage." },
	[OCI_CAUSE_PUSH_TOO_LARGE] = { "push-too-large",
	                               "What stands in front of the registry limits the size of "
	                               "a request. Raise it (nginx: client_max_body_size 0; the "
	                               "annotation nginx.ingress.kubernetes.io/proxy-body-size: "
	                               "\"0\")." },
	[OCI_CAUSE_PUSH_IMMUTABLE] = { "tag-immutable",
	                               "The tag is there and must not be moved. Push under another "
	                               "tag, or take the rule away: in Harbor, the project's "
	                               "Policy, Tag Immutability; in ECR, aws ecr "
	                               "put-image-tag-mutability --image-tag-mutability MUTABLE." },

	/* ---- ECR ---- */
	[OCI_CAUSE_AWS_NO_CREDENTIALS] = { "aws-no-credentials",
	                                   "Give AWS credentials: the secret's keys accessKey and "
	                                   "secretKey; or a role on the service account "
	                                   "spectro-specman (IRSA: annotation "
	                                   "eks.amazonaws.com/role-arn; or aws eks "
	                                   "create-pod-identity-association), and start the pod "
	                                   "anew: kubectl -n hubble-system delete pod specman-0" },
	[OCI_CAUSE_AWS_KEY_UNKNOWN] = { "aws-key-unknown",
	                                "AWS does not know the access key: it was deleted, made "
	                                "inactive, or belongs to another partition. Make a new one "
	                                "(aws iam create-access-key) and put it into the secret's "
	                                "keys accessKey and secretKey." },
	[OCI_CAUSE_AWS_SIGNATURE] = { "aws-secret-wrong",
	                              "The secret key does not belong to the access key. Put both "
	                              "anew, without spaces or line ends: " EDIT
	                              " (accessKey, secretKey)" },
	[OCI_CAUSE_AWS_CLOCK] = { "aws-clock",
	                          "AWS refuses signatures that are more than 5 minutes off. Set "
	                          "this "
	                          "node's clock: timedatectl set-ntp true; chronyc makestep" },
	[OCI_CAUSE_AWS_EXPIRED] = { "aws-expired",
	                            "The temporary credentials have ended. Renew accessKey, "
	                            "secretKey "
	                            "and sessionToken together, or use credentials that renew "
	                            "themselves (credentialType pod-identity or sts, IRSA)." },
	[OCI_CAUSE_AWS_RIGHT_MISSING] = { "aws-right-missing",
	                                  "Add the right that the error names to the user's or "
	                                  "role's policy. Needed are ecr:GetAuthorizationToken on "
	                                  "*, and ecr:ListImages, ecr:BatchGetImage, "
	                                  "ecr:GetDownloadUrlForLayer and "
	                                  "ecr:BatchCheckLayerAvailability on the repository "
	                                  "(AmazonEC2ContainerRegistryReadOnly has them); for a "
	                                  "push also ecr:InitiateLayerUpload, "
	                                  "ecr:UploadLayerPart, ecr:CompleteLayerUpload and "
	                                  "ecr:PutImage (AmazonEC2ContainerRegistryPowerUser)." },
	[OCI_CAUSE_AWS_ROLE_REFUSED] = { "aws-role-refused",
	                                 "Let the role's trust policy admit who asks: the account "
	                                 "or user for credentialType sts (with the same "
	                                 "externalId), "
	                                 "the cluster's OIDC provider with subject "
	                                 "system:serviceaccount:hubble-system:spectro-specman for "
	                                 "IRSA; and correct the secret's key arn." },
	[OCI_CAUSE_AWS_REGION] = { "aws-region",
	                           "Give the registry's region: the secret's key region (such as "
	                           "us-east-1), or AWS_REGION in the pod's environment; it has to "
	                           "be "
	                           "the one in the registry's host name." },

	[OCI_CAUSE_LAYOUT] = { "layout-bad",
	                       "The folder behind oci-layout: has to have oci-layout and "
	                       "index.json "
	                       "at its top. Make it with: skopeo copy docker://HOST/PATH:TAG "
	                       "oci:DIR:TAG, and see that the volume is mounted." },

	/* ---- signatures ---- */
	[OCI_CAUSE_NOT_SIGNED] = { "not-signed",
	                           "Sign what the tag names, by its digest: cosign sign --key "
	                           "cosign.key HOST/PATH@sha256:… It is taken with the next poll. "
	                           "If it was copied here, copy its signatures as well (cosign "
	                           "copy, "
	                           "oras cp -r): those of the tag sha256-….sig and its "
	                           "referrers." },
	[OCI_CAUSE_SIGNED_BY_OTHER] = { "signed-by-another-key",
	                                "If the key that signed it is to be trusted, add its "
	                                "public "
	                                "key by another --verify-key; if not, find out who has "
	                                "pushed "
	                                "this, and sign the right artifact with your key. specman "
	                                "check names the keys that are trusted now." },
	[OCI_CAUSE_SIGNATURE_MALFORMED] = { "signature-malformed",
	                                    "There is something in the signature's place that is "
	                                    "none of this artifact's: sign it anew with cosign "
	                                    "sign "
	                                    "--key, and remove what lies under the tag "
	                                    "sha256-….sig "
	                                    "if it is not yours." },
	[OCI_CAUSE_SIGNATURE_NOT_ASKED] = { "signature-not-asked",
	                                    "It is not known whether this is signed, so it is not "
	                                    "taken yet; it is tried again by itself. Look at what "
	                                    "the error says of the registry, and let the login "
	                                    "read "
	                                    "all tags of the repository and its referrers." },

	/* ---- configuration and secret ---- */
	[ADVICE_NO_REPOSITORY] = { "no-repository",
	                           "Tell the console that the registry \"Contains Spectro "
	                           "Manifests\", which makes the secret " SECRET
	                           "; or make it yourself with the keys endpoint and "
	                           "baseContentPath; or give --repository HOST/PATH." },
	[ADVICE_FILE_UNREADABLE] = { "file-unreadable",
	                             "Correct the path that the flag names, mount the volume that "
	                             "holds the file, and let the daemon's user read it (fsGroup; "
	                             "defaultMode 0440)." },
	[ADVICE_SECRET_UNREADABLE] = { "secret-unreadable",
	                               "Let the daemon's user read the mounted secret: set fsGroup "
	                               "in the pod's securityContext, or the volume's defaultMode "
	                               "to 0440." },
	[ADVICE_SECRET_VALUE] = { "secret-value",
	                          "Correct the value that the error names: " EDIT
	                          " (values under data: are base64, under stringData: plain)" },
	[ADVICE_SECRET_KEY_UNKNOWN] = { "secret-key-unknown",
	                                "Correct the spelling if the key is meant for specman; "
	                                "else nothing needs to be done. Understood are endpoint, "
	                                "baseContentPath, username, password, token, caCert, "
	                                "clientCert, clientKey, insecureSkipVerify, "
	                                "mirrorRegistries, .dockerconfigjson, and for ECR "
	                                "accessKey, secretKey, sessionToken, credentialType, "
	                                "isPrivate, region, arn, externalId." },
	[ADVICE_SECRET_SUBPATH] = { "secret-subpath",
	                            "Take subPath out of the volumeMount and mount the whole "
	                            "secret as a folder: the kubelet never updates what is mounted "
	                            "by subPath, so a new password would not arrive." },
	[ADVICE_DOCKER_CONFIG] = { "docker-config-broken",
	                           "Make the docker config anew: kubectl create secret "
	                           "docker-registry NAME --docker-server=HOST "
	                           "--docker-username=USER --docker-password=…, and take its "
	                           ".dockerconfigjson. It is JSON: {\"auths\":{\"HOST\":{…}}}" },
	[ADVICE_REGISTRY_SETTINGS] = { "registry-settings",
	                               "Correct what the error names: the CA (--registry-ca, "
	                               "caCert) and the client certificate are PEM with whole "
	                               "BEGIN and END lines, and a user name has no colon." },
	[ADVICE_NOT_VERIFIED] = { "registry-not-verified",
	                          "Give the registry's CA (--registry-ca FILE or the secret's key "
	                          "caCert) and take --registry-insecure or insecureSkipVerify "
	                          "away: "
	                          "whoever stands between can read the password." },
	[ADVICE_NOT_ENCRYPTED] = { "registry-not-encrypted",
	                           "Give the registry a certificate and take --plain-http away: "
	                           "whoever listens can read along." },

	/* ---- the data directory ---- */
	[ADVICE_DATA_DIR_MISSING] = { "data-dir-missing",
	                              "Mount the volume, or make the folder above --data-dir and "
	                              "let the daemon's user write into it." },
	[ADVICE_DATA_DIR_NO_FOLDER] = { "data-dir-no-folder",
	                                "Point --data-dir to a folder: what is there is something "
	                                "else." },
	[ADVICE_DATA_DIR_UNWRITABLE] = { "data-dir-unwritable",
	                                 "Give the folder to the daemon's user: set fsGroup in "
	                                 "the pod's securityContext (kubectl -n hubble-system edit "
	                                 "statefulset specman), or outside Kubernetes chown -R." },
	[ADVICE_DATA_DIR_READ_ONLY] = { "data-dir-read-only",
	                                "Mount the volume for writing (no readOnly: true on the "
	                                "volumeMount). A file system that was writable before and "
	                                "now is not has met a fault of its disk: see dmesg." },
	[ADVICE_DATA_DIR_IO] = { "data-dir-io",
	                         "See the node's kernel log (dmesg) and the health of the disk or "
	                         "of the storage behind the volume." },
	[ADVICE_DISK_FULL] = { "disk-full",
	                       "Make room: raise the volume claim's size (kubectl -n hubble-system "
	                       "edit pvc), keep fewer releases (--max-releases N, --prune), or "
	                       "remove what else lies on the volume." },
	[ADVICE_DISK_LOW] = { "disk-low", "Raise the volume claim's size before the next release "
	                                  "comes, or keep "
	                                  "fewer releases (--max-releases N, --prune)." },
	[ADVICE_STORE_FORMAT] = { "store-format",
	                          "Run the version that wrote the store, or give an empty "
	                          "--data-dir: everything is fetched again then." },

	/* ---- the certificate for clients ---- */
	[ADVICE_CERT_UNREADABLE] = { "certificate-unreadable",
	                             "Correct --tls-cert and --tls-key, mount the Secret with "
	                             "tls.crt and tls.key, and let the daemon's user read both "
	                             "(fsGroup; defaultMode 0440)." },
	[ADVICE_CERT_BAD] = { "certificate-bad",
	                      "Give --tls-cert a PEM file: the server's certificate first, then "
	                      "those of its issuers. DER becomes PEM with: openssl x509 -inform "
	                      "der "
	                      "-in FILE -out tls.crt" },
	[ADVICE_KEY_BAD] = { "key-bad",
	                     "Give --tls-key the certificate's key as PEM without a password; one "
	                     "with a password loses it with: openssl pkey -in FILE -out tls.key" },
	[ADVICE_KEY_OTHER] = { "key-of-another-certificate",
	                       "Give the key that the certificate was made for: openssl x509 -in "
	                       "tls.crt -noout -pubkey and openssl pkey -in tls.key -pubout have "
	                       "to print the same." },
	[ADVICE_CERT_EXPIRED] = { "certificate-expired",
	                          "Renew the certificate (cert-manager: cmctl renew -n "
	                          "hubble-system NAME, and look at its issuer); clients refuse "
	                          "this "
	                          "one. If it has not expired by a right clock, set this node's." },
	[ADVICE_CERT_EXPIRES_SOON] = { "certificate-expires-soon",
	                               "Renew the certificate now; if cert-manager should have: "
	                               "kubectl -n hubble-system describe certificate" },
	[ADVICE_CERT_NOT_YET_VALID] = { "certificate-not-yet-valid",
	                                "Set this node's clock, or wait until the certificate "
	                                "begins, or issue it anew: clients refuse it until then." },
	[ADVICE_CERT_OTHER_NAME] = { "certificate-other-name",
	                             "Issue the certificate with the name by which clients come "
	                             "among its subjectAltNames (Palette comes to "
	                             "specman-service.hubble-system.svc.cluster.local); they "
	                             "refuse it otherwise." },
	[ADVICE_SELF_MADE_BROKEN] = { "self-made-broken",
	                              "Restore the folder tls/ of the data directory, or remove "
	                              "it: "
	                              "specman makes a new CA then, which clients have to be given "
	                              "(specman ca)." },

	[ADVICE_VERIFY_KEY] = { "verify-key-bad",
	                        "Give --verify-key a file with the public key in PEM: cosign.pub "
	                        "of "
	                        "cosign generate-key-pair, or what openssl pkey -in KEY -pubout "
	                        "writes. ECDSA (P-256, P-384, P-521), RSA (2048 bits and more) and "
	                        "Ed25519 are understood." },

	/* ---- who may ask ---- */
	[ADVICE_CLIENT_CA_BAD] = { "client-ca-bad",
	                           "Give --tls-client-ca a PEM file with the certificates of the "
	                           "CAs that sign the clients' (ca.crt of a Secret of "
	                           "cert-manager's). DER becomes PEM with: openssl x509 -inform "
	                           "der -in FILE -out ca.crt" },
	[ADVICE_CLIENT_CA_UNFIT] = { "client-ca-unfit",
	                             "Put the CA that signs the clients' certificates into the "
	                             "file of --tls-client-ca, not a client's own certificate, and "
	                             "take out what has expired: openssl x509 -in FILE -noout "
	                             "-subject -dates -ext basicConstraints" },
	[ADVICE_USERS] = { "users-unfit",
	                   "Correct these lines, or make them anew: htpasswd -B FILE USER. While "
	                   "there is one that can't be used, specman does not start, and one that "
	                   "runs keeps the users that it had." },

	[ADVICE_KEY_KIND] = { "key-not-approved",
	                      "Issue the certificate for a key of ECDSA (P-256, P-384 or P-521) or "
	                      "of RSA (2048 bits or more)." },

	[ADVICE_FIPS] = { "fips-not-active",
	                  "Run specman where OpenSSL has its FIPS provider: fips.so in the folder "
	                  "of modules (openssl version -m, or OPENSSL_MODULES), a fipsmodule.cnf "
	                  "made there with openssl fipsinstall, and an openssl.cnf that includes "
	                  "it (OPENSSL_CONF); see FIPS in the README. Or run it without --fips." },

	[ADVICE_HOOK_TOKEN] = { "hook-token-unfit",
	                        "Give --hook-token-file a file with a token that nobody can guess "
	                        "(openssl rand -hex 24), and the registry's webhook the same "
	                        "one." },

	[ADVICE_CLOCK] = { "clock-wrong",
	                   "Set this node's clock (timedatectl set-ntp true; chronyc makestep): "
	                   "certificates and signatures are judged by it." },

	/* ---- what the repository has ---- */
	[ADVICE_REPOSITORY_EMPTY] = { "repository-empty",
	                              "Push a release into it (specman push HOST/PATH:TAG "
	                              "DIR), or correct the path when the releases lie "
	                              "elsewhere, or let --tag-include, --tag-exclude and "
	                              "--tag-semver take its tags." },
	[ADVICE_DIGEST] = { "digest-mismatch",
	                    "The registry, or a cache in front of it, gives out bytes that are not "
	                    "what was pushed. Clear that cache, look at the registry's storage, "
	                    "and "
	                    "push the release again." },
	[ADVICE_MIRROR_DIFFERS] = { "mirror-differs",
	                            "Bring the mirror up to date (its replication rule may be "
	                            "late). "
	                            "Until then the digest counts that the first source names." },
	[ADVICE_ROLLBACK] = { "rollback",
	                      "If it is meant to go back, run specman with --allow-rollback until "
	                      "it has. If not, somebody has put an old artifact in the place of a "
	                      "newer one: push the right one again." },

	[ADVICE_RELEASE_UNFIT] = { "release-unfit",
	                           "Push the release again without what the error names (specman "
	                           "push looks before it sends), or raise the limit that it "
	                           "names. What was served before is served meanwhile." },

	/* ---- what is to be pushed ---- */
	[ADVICE_PUSH_LOGIN] = { "push-login",
	                        "Give the login of a user who may push: --registry-username NAME "
	                        "with --registry-password-file FILE, or --registry-config FILE "
	                        "with an entry for exactly this host and port; docker login HOST "
	                        "and skopeo login --authfile FILE HOST make one. A robot's name in "
	                        "Harbor begins with robot$, and robots expire." },
	[ADVICE_PUSH_UNREADABLE] = { "push-unreadable",
	                             "Let this user read the file that the error names, or push "
	                             "as one who may; and push while nobody changes the folder." },
	[ADVICE_PUSH_UNFIT] = { "push-unfit",
	                        "Nothing was sent: specman would refuse to serve this. Take out, "
	                        "rename or replace what the error names. A link has to lead to "
	                        "something within the folder, by a relative path. A limit may be "
	                        "raised, here and for the daemon: --max-file-size, "
	                        "--max-unpacked-size, --max-entries, --max-ratio." },
	[ADVICE_PUSH_NO_ROOM] = { "push-no-room",
	                          "Set TMPDIR to a folder with room for the packed archive, or, "
	                          "when an archive is given, for all that is in it." },
	[ADVICE_PUSH_SIGN_KEY] = { "sign-key-bad",
	                           "Give --sign-key a private key in PEM without a password: "
	                           "openssl genpkey -algorithm EC -pkeyopt "
	                           "ec_paramgen_curve:P-256 -out FILE makes one. Or push without "
	                           "it, and sign the digest that is printed: cosign sign --key "
	                           "cosign.key HOST/NAME@sha256:…" },
};

const struct advice *advice_find(int cause)
{
	if (cause <= OCI_CAUSE_NONE || cause >= ADVICE_CAUSE_COUNT || !advices[cause].name)
		return NULL;
	return &advices[cause];
}

int advice_cause_of(const struct err *err)
{
	if (advice_find(err->cause))
		return err->cause;
	if (err->kind == ERR_NO_SPACE)
		return ADVICE_DISK_FULL;
	if (err->kind == ERR_ROLLBACK)
		return ADVICE_ROLLBACK;
	return err->kind == ERR_DIGEST ? ADVICE_DIGEST : 0;
}
