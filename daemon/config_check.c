/* Values that don't go together; see config_check.h. */
#include "config_check.h"

#include <netinet/in.h>
#include <string.h>

#include "oci/oci.h"

static int check_repository(const char *repository, const char *from, struct err *err)
{
	const char *layout = repository ? config_layout(repository) : NULL;
	struct oci_reference reference;

	if (layout && !*layout)
		return err_set(err, ERR_CONFIG, "%s is \"%s\", and may be oci-layout:DIR", from,
		               repository);
	if (!repository || layout)
		return 0;
	return oci_reference_parse(repository, &reference, err) ? err_context(err, "%s", from) : 0;
}

static int check_repositories(const struct config *config, struct err *err)
{
	if (check_repository(config->repository, "--repository", err))
		return -1;
	for (size_t i = 0; i < config->repository_mirror.count; i++)
		if (check_repository(config->repository_mirror.at[i], "--repository-mirror", err))
			return -1;
	return 0;
}

/* ---- flags that need one another ---- */

static int check_pairs(const struct config *config, struct err *err)
{
	const struct {
		const char *given, *needed;
		const char *names[2];
	} pairs[] = {
		{ config->tls_cert, config->tls_key, { "--tls-cert", "--tls-key" } },
		{ config->tls_key, config->tls_cert, { "--tls-key", "--tls-cert" } },
		{ config->registry_cert,
		  config->registry_key,
		  { "--registry-cert", "--registry-key" } },
		{ config->registry_key,
		  config->registry_cert,
		  { "--registry-key", "--registry-cert" } },
		{ config->registry_password_file,
		  config->registry_username,
		  { "--registry-password-file", "--registry-username" } },
		{ config->registry_password,
		  config->registry_username,
		  { "SPECMAN_REGISTRY_PASSWORD", "--registry-username" } },
		{ config->registry_username,
		  config->registry_password_file ? config->registry_password_file
		                                 : config->registry_password,
		  { "--registry-username",
		    "--registry-password-file, or SPECMAN_REGISTRY_PASSWORD in the environment" } },
		{ config_is_given(config, &config->tls_client_auth) ? "" : NULL,
		  config->tls_client_ca,
		  { "--tls-client-auth", "--tls-client-ca" } },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].given && !pairs[i].needed)
			return err_set(err, ERR_CONFIG, "%s is given, and needs %s",
			               pairs[i].names[0], pairs[i].names[1]);
	return 0;
}

static int check_fips(const struct config *config, struct err *err)
{
	if (config->fips && config->htpasswd)
		return err_set(err, ERR_CONFIG,
		               "--htpasswd does not go with --fips: bcrypt and SHA-crypt are not "
		               "approved; let clients show certificates (--tls-client-ca)");
	return 0;
}

/* ---- addresses ---- */

/* Whether a socket on one of the addresses takes connections to the other. */
static bool are_in_the_way(const struct listen_address *a, const struct listen_address *b)
{
	const struct sockaddr_in *four_a = (const void *)&a->address;
	const struct sockaddr_in *four_b = (const void *)&b->address;
	const struct sockaddr_in6 *six_a = (const void *)&a->address;
	const struct sockaddr_in6 *six_b = (const void *)&b->address;
	const bool is_six_a = a->address.ss_family == AF_INET6;
	const bool is_six_b = b->address.ss_family == AF_INET6;
	const in_port_t port = is_six_a ? six_a->sin6_port : four_a->sin_port;

	if (!port || port != (is_six_b ? six_b->sin6_port : four_b->sin_port))
		return false;
	/* [::] takes IPv4, too. */
	if ((is_six_a && IN6_IS_ADDR_UNSPECIFIED(&six_a->sin6_addr)) ||
	    (is_six_b && IN6_IS_ADDR_UNSPECIFIED(&six_b->sin6_addr)))
		return true;
	if (is_six_a != is_six_b)
		return false;
	if (is_six_a)
		return IN6_ARE_ADDR_EQUAL(&six_a->sin6_addr, &six_b->sin6_addr);
	return four_a->sin_addr.s_addr == four_b->sin_addr.s_addr ||
	       four_a->sin_addr.s_addr == INADDR_ANY || four_b->sin_addr.s_addr == INADDR_ANY;
}

static int check_addresses(const struct config *config, struct err *err)
{
	const struct listen_address *all[2 * CONFIG_LISTEN_MAX];
	const char *names[2 * CONFIG_LISTEN_MAX];
	char text[2][LISTEN_TEXT_SIZE];
	size_t count = 0;

	for (size_t i = 0; i < config->listen.count; i++, count++) {
		all[count] = &config->listen.at[i];
		names[count] = "--listen";
	}
	for (size_t i = 0; i < config->admin_listen.count; i++, count++) {
		all[count] = &config->admin_listen.at[i];
		names[count] = "--admin-listen";
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (are_in_the_way(all[j], all[i]))
				return err_set(err, ERR_CONFIG,
				               "%s %s and %s %s are in each other's way: give one "
				               "of them another port",
				               names[j], listen_format(all[j], text[0]), names[i],
				               listen_format(all[i], text[1]));
	return 0;
}

/* ---- the whole ---- */

int config_check(const struct config *config, struct err *err)
{
	if (*config->data_dir != '/')
		return err_set(err, ERR_CONFIG,
		               "--data-dir is \"%.200s\", and may be a path that begins with /",
		               config->data_dir);
	return check_repositories(config, err) || check_pairs(config, err) ||
	                       check_fips(config, err) || check_addresses(config, err)
	               ? -1
	               : 0;
}
