# Django's static files: https://devcenter.heroku.com/articles/django-assets

collect_static() {
  local manage
  if [[ ! -d $(packages)/django ]]; then return; fi
  if [[ $(config_var DISABLE_COLLECTSTATIC 0) != @(0|) ]]; then
    step 'Skipping Django collectstatic since the env var DISABLE_COLLECTSTATIC is set.'
    return
  fi
  manage=$(cd "$build_dir" && find . -maxdepth 3 -type f -name manage.py -printf '%d\t%P\n' | sort -n | head -n 1 | cut -f 2)
  if [[ -z $manage ]]; then
    step 'Skipping Django collectstatic since no manage.py file found.'
    return
  fi
  step "\$ python $manage collectstatic --noinput"
  # shellcheck disable=SC2016
  quiet='/^Post-processed/d;/^Copying/d;/^$/d' for_app bash -c \
    'PYTHONPATH=${PYTHONPATH:-.} exec python "$1" collectstatic --noinput --traceback' - "$manage" ||
    fail 'Error: Unable to generate Django static files.' '' \
      "The 'python $manage collectstatic --noinput' Django management command failed. Its output is above." '' \
      'You may need to update application code to resolve this error.' 'Or, you can disable collectstatic for this application:' '' \
      '   $ heroku config:set DISABLE_COLLECTSTATIC=1'
}
